package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.otaflux.DeviceId;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.EnumSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * Credentials in a file that only its owner can read, a small JSON object. It is written beside its place, synchronised,
 * and renamed, so that a power cut leaves the old ones or the new ones.
 */
public final class FileCredentialStore implements CredentialStore {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int LARGEST = 64 * 1024;
    private static final Set<PosixFilePermission> OWNER =
            EnumSet.of(PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE);

    private final Path file;

    private FileCredentialStore(Path file) {
        this.file = file.toAbsolutePath();
    }

    /** The store in {@code file}, whose directory must exist when something is saved. */
    public static FileCredentialStore at(Path file) {
        return new FileCredentialStore(file);
    }

    @Override
    public Mono<Credentials> load() {
        return Mono.fromCallable(this::read).subscribeOn(Schedulers.boundedElastic());
    }

    @Override
    public Mono<Void> save(Credentials credentials) {
        return Mono.<Void>fromCallable(() -> {
                    write(text(credentials));
                    return null;
                })
                .subscribeOn(Schedulers.boundedElastic());
    }

    private @Nullable Credentials read() throws IOException {
        byte[] bytes;
        try (InputStream in = Files.newInputStream(file)) {
            bytes = in.readNBytes(LARGEST);
        } catch (NoSuchFileException none) {
            return null;
        }
        try {
            JsonNode text = JSON.readTree(bytes);
            DeviceId device = new DeviceId(
                    text.path("productKey").asText(), text.path("deviceName").asText());
            if (text.has("deviceSecret")) {
                return new Credentials.DeviceSecret(
                        device, text.path("deviceSecret").asText());
            }
            if (text.has("deviceToken")) {
                return new Credentials.DeviceToken(
                        device,
                        text.path("clientId").asText(),
                        text.path("deviceToken").asText());
            }
            return new Credentials.Certified(device);
        } catch (IOException | IllegalArgumentException e) {
            // Without the cause, which quotes what it read.
            throw new IOException(file + ": no credentials (" + e.getClass().getSimpleName() + ")");
        }
    }

    private static byte[] text(Credentials credentials) {
        ObjectNode text = JSON.createObjectNode()
                .put("productKey", credentials.device().product())
                .put("deviceName", credentials.device().name());
        if (credentials instanceof Credentials.DeviceSecret secret) {
            text.put("deviceSecret", secret.deviceSecret());
        } else if (credentials instanceof Credentials.DeviceToken token) {
            text.put("clientId", token.clientId()).put("deviceToken", token.deviceToken());
        }
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    private void write(byte[] text) throws IOException {
        Path directory = file.getParent();
        Path temporary = Files.createTempFile(
                directory, file.getFileName().toString(), ".tmp", PosixFilePermissions.asFileAttribute(OWNER));
        try {
            try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.WRITE)) {
                ByteBuffer bytes = ByteBuffer.wrap(text);
                while (bytes.hasRemaining()) {
                    channel.write(bytes);
                }
                channel.force(true);
            }
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(temporary);
        }
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    @Override
    public String toString() {
        return "FileCredentialStore[" + file + "]";
    }
}
