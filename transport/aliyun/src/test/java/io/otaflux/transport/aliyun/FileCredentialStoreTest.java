package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.DEVICE;
import static io.otaflux.transport.aliyun.TestPlatform.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.test.StepVerifier;

class FileCredentialStoreTest {

    @TempDir
    Path directory;

    static List<Credentials> credentials() {
        return List.of(
                new Credentials.DeviceSecret(DEVICE, "CANARY-secret"),
                new Credentials.DeviceToken(DEVICE, "client|1", "CANARY-token \"=\n"),
                new Credentials.Certified(DEVICE));
    }

    @ParameterizedTest
    @MethodSource("credentials")
    void whatWasSavedIsLoadedInTheNextLife(Credentials credentials) throws Exception {
        Path file = directory.resolve("credentials.json");

        FileCredentialStore.at(file)
                .save(credentials)
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);

        assertThat(FileCredentialStore.at(file).load().block(PATIENCE)).isEqualTo(credentials);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-------");
        assertThat(credentials.toString()).contains(DEVICE.toString()).doesNotContain("CANARY");
    }

    @Test
    void whereNothingWasSavedThereIsNothing() {
        FileCredentialStore.at(directory.resolve("credentials.json"))
                .load()
                .as(StepVerifier::create)
                .expectComplete()
                .verify(PATIENCE);
    }

    @Test
    void nothingBesideTheFileIsLeft() throws Exception {
        FileCredentialStore store = FileCredentialStore.at(directory.resolve("credentials.json"));
        for (Credentials credentials : credentials()) {
            store.save(credentials).block(PATIENCE);
        }

        assertThat(store.load().block(PATIENCE)).isEqualTo(credentials().get(2));
        try (Stream<Path> files = Files.list(directory)) {
            assertThat(files).hasSize(1);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "{",
                "CANARY",
                "{\"productKey\":\"pk\"}",
                "{\"productKey\":\"pk\",\"deviceName\":\"dn\",\"deviceSecret\":\"\"}",
                "{\"productKey\":\"pk\",\"deviceName\":\"CANARY/\",\"deviceSecret\":\"CANARY\"}"
            })
    void aDamagedFileIsAnErrorAndNoReasonToRegisterAgain(String text) throws Exception {
        Path file = Files.writeString(directory.resolve("credentials.json"), text);

        FileCredentialStore.at(file)
                .load()
                .as(StepVerifier::create)
                .expectErrorSatisfies(e -> assertThat(e)
                        .isInstanceOf(IOException.class)
                        .hasMessageStartingWith(file + ": no credentials")
                        .hasMessageNotContaining("CANARY")
                        .hasNoCause())
                .verify(PATIENCE);
    }

    @Test
    void aDirectoryThatIsNotThereIsAnError() {
        FileCredentialStore.at(directory.resolve("absent/credentials.json"))
                .save(new Credentials.DeviceSecret(DEVICE, "CANARY-secret"))
                .as(StepVerifier::create)
                .expectErrorSatisfies(
                        e -> assertThat(e).isInstanceOf(IOException.class).hasMessageNotContaining("CANARY"))
                .verify(PATIENCE);
    }

    @Test
    void credentialsAreNotEmpty() {
        assertThatThrownBy(() -> new Credentials.DeviceSecret(DEVICE, "")).hasMessage("device secret: empty");
        assertThatThrownBy(() -> new Credentials.DeviceToken(DEVICE, "", "x")).hasMessage("client id: empty");
        assertThatThrownBy(() -> new Credentials.DeviceToken(DEVICE, "x", "")).hasMessage("device token: empty");
    }
}
