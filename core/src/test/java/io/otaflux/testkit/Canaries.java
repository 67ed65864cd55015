package io.otaflux.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Proxy;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Secrets that must never be seen, and where they are looked for. Each begins with {@code CANARY}. */
public final class Canaries {

    private static final URI LOCATION =
            URI.create("https://CANARY-user:CANARY-password@example.com/a?Signature=CANARY-signature");

    /** What a record or its component is called whose texts are secrets. */
    private static final Pattern SECRET = Pattern.compile("(?i).*(secret|password|token|location|url).*");

    private Canaries() {}

    /**
     * Makes one of each record of a module, with secrets for the locations and secrets in it, and expects that none shows any
     * as text. Records with a component of which nothing can be made here are left out.
     *
     * @param member any class of the module
     * @return the simple names of the records that were looked at
     */
    public static List<String> assertNoRecordShowsAny(Class<?> member) {
        List<String> seen = new ArrayList<>();
        for (Class<?> type : classes(member)) {
            if (type.isRecord()) {
                sample(type).ifPresent(value -> {
                    assertThat(value.toString()).as(type.getName()).doesNotContain("CANARY");
                    seen.add(type.getSimpleName());
                });
            }
        }
        return seen;
    }

    private static List<Class<?>> classes(Class<?> member) {
        try {
            Path root = Path.of(
                    member.getProtectionDomain().getCodeSource().getLocation().toURI());
            try (Stream<Path> files = Files.walk(root)) {
                List<Class<?>> classes = new ArrayList<>();
                for (Path file : files.toList()) {
                    String name = root.relativize(file).toString();
                    if (name.endsWith(".class") && !name.endsWith("-info.class")) {
                        String path = name.substring(0, name.length() - ".class".length());
                        classes.add(Class.forName(path.replace('/', '.'), false, member.getClassLoader()));
                    }
                }
                return classes;
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (URISyntaxException | ClassNotFoundException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Optional<Object> sample(Class<?> record) {
        RecordComponent[] components = record.getRecordComponents();
        Class<?>[] types =
                Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
        Object[] values = new Object[components.length];
        for (int i = 0; i < values.length; i++) {
            Object value =
                    value(record.getSimpleName() + " " + components[i].getName(), components[i].getGenericType());
            if (value == null) {
                return Optional.empty();
            }
            values[i] = value;
        }
        try {
            Constructor<?> constructor = record.getDeclaredConstructor(types);
            constructor.setAccessible(true);
            return Optional.of(constructor.newInstance(values));
        } catch (InvocationTargetException e) {
            return Optional.empty();
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private static @Nullable Object value(String name, Type generic) {
        Type raw = generic instanceof ParameterizedType parameterized ? parameterized.getRawType() : generic;
        if (!(raw instanceof Class<?> type)) {
            return null;
        }
        if (type == List.class || type == Set.class || type == Optional.class) {
            Object element = value(name, argument(generic, 0));
            return element == null
                    ? null
                    : type == List.class
                            ? List.of(element)
                            : type == Set.class ? Set.of(element) : Optional.of(element);
        }
        if (type == Map.class) {
            Object key = value("key", argument(generic, 0));
            Object element = value(name, argument(generic, 1));
            return key == null || element == null ? null : Map.of(key, element);
        }
        if (type == String.class) {
            return SECRET.matcher(name).matches() ? "CANARY-" + name : "a1";
        }
        if (type == Object.class) {
            return "an object";
        }
        if (type == long.class || type == Long.class) {
            return 1L;
        }
        if (type == int.class || type == Integer.class) {
            return 1;
        }
        if (type == boolean.class || type == Boolean.class) {
            return true;
        }
        if (type.isEnum()) {
            return type.getEnumConstants()[0];
        }
        if (type.isRecord() && type != DeviceId.class && type != Digest.class) {
            return sample(type).orElse(null);
        }
        for (Object known : List.of(
                LOCATION,
                new DeviceId("product", "device"),
                Digest.md5("ab".repeat(16)),
                new SourceException(Reason.NOT_FOUND, 404, "not there", null),
                Duration.ofSeconds(1),
                Instant.EPOCH,
                Path.of("file"))) {
            if (type.isInstance(known)) {
                return known;
            }
        }
        return type.isInterface() && !type.isSealed()
                ? Proxy.newProxyInstance(
                        type.getClassLoader(),
                        new Class<?>[] {type},
                        (proxy, method, arguments) ->
                                method.getName().equals("toString") ? "a " + type.getSimpleName() : null)
                : null;
    }

    private static Type argument(Type generic, int index) {
        return generic instanceof ParameterizedType parameterized
                ? parameterized.getActualTypeArguments()[index]
                : Object.class;
    }
}
