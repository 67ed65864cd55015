package io.otaflux.testkit;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * Finds who uses operators of Reactor that lose a cancellation which comes while they go from one source to the next. What is
 * then subscribed to goes on although nobody waits for it.
 */
public final class LossyOperators {

    private static final Set<String> PUBLISHERS = Set.of("reactor/core/publisher/Flux", "reactor/core/publisher/Mono");

    /** Safe in their stead: {@code then}, {@code flatMap} of a {@code Flux} with a concurrency of 1, {@code flatMapMany}. */
    private static final Set<String> LOSSY = Set.of(
            "concat",
            "concatDelayError",
            "concatWith",
            "concatWithValues",
            "startWith",
            "thenMany",
            "concatMap",
            "concatMapDelayError",
            "switchIfEmpty",
            "onErrorResume",
            "onErrorMap",
            "repeat",
            "repeatWhen",
            "retry",
            "retryWhen",
            "expand",
            "expandDeep");

    private LossyOperators() {}

    /**
     * @param one a class of the module that is looked through
     * @return its uses of such operators: {@code Class.operator} by the name of the top-level class
     */
    public static SortedSet<String> usedIn(Class<?> one) {
        try {
            Path classes = Path.of(
                    one.getProtectionDomain().getCodeSource().getLocation().toURI());
            SortedSet<String> uses = new TreeSet<>();
            try (Stream<Path> files = Files.walk(classes)) {
                for (Path file :
                        (Iterable<Path>) files.filter(path -> path.toString().endsWith(".class"))::iterator) {
                    String name = file.getFileName().toString().replaceAll("(\\$.*)?\\.class$", "");
                    referred(file).forEach(operator -> uses.add(name + "." + operator));
                }
            }
            return uses;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (URISyntaxException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** What the constant pool of a class file refers to; section 4.4 of the specification of the Java virtual machine. */
    private static Set<String> referred(Path file) throws IOException {
        Map<Integer, String> texts = new HashMap<>();
        Map<Integer, Integer> classes = new HashMap<>();
        Map<Integer, Integer> names = new HashMap<>();
        Map<Integer, Integer> methods = new HashMap<>();
        try (DataInputStream in = new DataInputStream(Files.newInputStream(file))) {
            in.skipNBytes(8);
            int constants = in.readUnsignedShort();
            for (int i = 1; i < constants; i++) {
                int tag = in.readUnsignedByte();
                switch (tag) {
                    case 1 -> texts.put(i, in.readUTF());
                    case 3, 4, 9, 11, 17, 18 -> in.skipNBytes(4);
                    case 5, 6 -> {
                        in.skipNBytes(8);
                        i++;
                    }
                    case 7 -> classes.put(i, in.readUnsignedShort());
                    case 8, 16, 19, 20 -> in.skipNBytes(2);
                    case 10 -> methods.put(in.readUnsignedShort() << 16 | i, in.readUnsignedShort());
                    case 12 -> {
                        names.put(i, in.readUnsignedShort());
                        in.skipNBytes(2);
                    }
                    case 15 -> in.skipNBytes(3);
                    default -> throw new IOException(file + ": constant " + i + " is of the unknown kind " + tag);
                }
            }
        }
        Set<String> found = new TreeSet<>();
        methods.forEach((key, name) -> {
            String owner = texts.get(classes.get(key >>> 16));
            String method = texts.get(names.get(name));
            boolean flatMapOfMono = method.equals("flatMap") && owner.endsWith("/Mono");
            if (PUBLISHERS.contains(owner) && (LOSSY.contains(method) || flatMapOfMono)) {
                found.add(method);
            }
        });
        return found;
    }
}
