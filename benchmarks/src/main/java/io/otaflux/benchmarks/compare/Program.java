package io.otaflux.benchmarks.compare;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.stream.Stream;

/** A program that a scenario starts, and the Debian package that has it. */
record Program(String name, String debianPackage) {

    static final Program ARIA2 = new Program("aria2c", "aria2");
    static final Program CURL = new Program("curl", "curl");
    static final Program MOSQUITTO = new Program("mosquitto", "mosquitto");
    static final Program MOSQUITTO_SUB = new Program("mosquitto_sub", "mosquitto-clients");
    static final Program NGINX = new Program("nginx", "nginx-light");
    static final Program OPENSSL = new Program("openssl", "openssl");
    static final Program PYTHON = new Program("python3", "python3");
    static final Program WGET = new Program("wget", "wget");
    static final Program WRK = new Program("wrk", "wrk");

    /** Where it is: on the {@code PATH}, or where Debian puts what only servers need. */
    Optional<Path> find() {
        String path = Optional.ofNullable(System.getenv("PATH")).orElse("");
        return Stream.concat(
                        Stream.of(path.split(File.pathSeparator)),
                        List.of("/usr/sbin", "/sbin", "/usr/local/sbin").stream())
                .map(directory -> Path.of(directory, name))
                .filter(Files::isExecutable)
                .findFirst();
    }

    /** @throws NoSuchElementException when it is not installed, which a scenario's {@link Scenario#programs()} rules out */
    Path path() {
        return find().orElseThrow(() -> new NoSuchElementException(missing()));
    }

    String missing() {
        return name + " is missing (apt-get install " + debianPackage + ")";
    }
}
