package io.otaflux.benchmarks.compare;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Collectors;

/** What has to stand beside every figure. */
final class Machine {

    private Machine() {}

    static Map<String, String> describe(String commit) {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("date", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
        facts.put("commit", commit);
        facts.put("processor", processor());
        facts.put("memory", memory());
        facts.put("kernel", System.getProperty("os.name") + " " + System.getProperty("os.version"));
        facts.put("java", System.getProperty("java.vendor") + " " + Runtime.version());
        facts.put("load average", load());
        version("nginx", Program.NGINX, "-v").ifPresent(text -> facts.put("nginx", text));
        version("curl", Program.CURL, "--version").ifPresent(text -> facts.put("curl", text));
        version("wget", Program.WGET, "--version").ifPresent(text -> facts.put("wget", text));
        version("aria2", Program.ARIA2, "--version").ifPresent(text -> facts.put("aria2", text));
        version("openssl", Program.OPENSSL, "version").ifPresent(text -> facts.put("openssl", text));
        version("mosquitto", Program.MOSQUITTO, "-h").ifPresent(text -> facts.put("mosquitto", text));
        facts.put("libraries", libraries());
        return facts;
    }

    /** Of one, five and fifteen minutes. */
    static String load() {
        return read(Path.of("/proc/loadavg"))
                .map(text -> text.replaceAll("^(\\S+ \\S+ \\S+).*\\R?", "$1"))
                .orElse("unknown");
    }

    private static String processor() {
        String info = read(Path.of("/proc/cpuinfo")).orElse("");
        String model = first(info, "model name");
        List<String> flags = List.of(first(info, "flags").split(" ", -1));
        return Runtime.getRuntime().availableProcessors() + " × " + (model.isEmpty() ? "unknown" : model)
                + (flags.contains("sha_ni") ? ", with SHA instructions" : "")
                + (flags.contains("hypervisor") ? ", a virtual machine" : "");
    }

    private static String memory() {
        return read(Path.of("/proc/meminfo"))
                .map(text -> first(text, "MemTotal").replaceAll("\\D", ""))
                .filter(kibibytes -> !kibibytes.isEmpty())
                .map(kibibytes -> Report.number(Long.parseLong(kibibytes) / (double) (1 << 20)) + " GiB")
                .orElse("unknown");
    }

    private static String first(String info, String name) {
        return info.lines()
                .filter(line -> line.startsWith(name))
                .map(line -> line.substring(line.indexOf(':') + 1).strip())
                .findFirst()
                .orElse("");
    }

    private static Optional<String> read(Path file) {
        try {
            return Optional.of(Files.readString(file));
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** The first line of what it says of itself. */
    private static Optional<String> version(String name, Program program, String option) {
        return program.find().flatMap(path -> {
            try {
                Process process = new ProcessBuilder(path.toString(), option)
                        .redirectErrorStream(true)
                        .start();
                process.getOutputStream().close();
                String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                process.waitFor();
                return text.lines()
                        .findFirst()
                        .map(line -> line.replaceAll("(?i)^(gnu )?" + name + "[ /](version:? )?", "")
                                .replaceAll("[ ,](\\(|built on|lib).*", ""));
            } catch (IOException e) {
                return Optional.empty();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return Optional.empty();
            }
        });
    }

    private static String libraries() {
        Properties versions = new Properties();
        try (InputStream in = Machine.class.getResourceAsStream("versions.properties")) {
            if (in != null) {
                versions.load(in);
            }
        } catch (IOException e) {
            return "unknown";
        }
        return versions.stringPropertyNames().stream()
                .sorted()
                .map(name -> name + " " + versions.getProperty(name))
                .collect(Collectors.joining(", "));
    }
}
