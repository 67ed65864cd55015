package io.otaflux.samples.gateway;

import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.LocalTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link GatewayApplication} is told.
 *
 * @param host where the platform is
 * @param port its MQTT port
 * @param plain talks without TLS, to the platform and to file servers; for a laboratory only
 * @param authorities a PEM file of the certificate authorities to trust; null for those of the system
 * @param networks those that files may come from besides the public Internet, for a file server on the local network
 * @param productKey the gateway's product
 * @param deviceName its name
 * @param secretFile the file with its secret: the environment and the arguments of a process can be read by others
 * @param home where firmware slots and the store are
 * @param modules the jar of each module besides the firmware
 * @param from when upgrades may be installed
 * @param to until when
 */
record Settings(
        String host,
        int port,
        boolean plain,
        @Nullable Path authorities,
        List<String> networks,
        String productKey,
        String deviceName,
        Path secretFile,
        Path home,
        Map<String, Path> modules,
        LocalTime from,
        LocalTime to) {

    static final String USAGE = """
            usage: GatewayApplication [MODULE=JAR]...
              OTA_HOST, OTA_PORT (8883)   the platform's MQTT broker
              OTA_PRODUCT, OTA_DEVICE     who this gateway is
              OTA_SECRET_FILE             file with its secret
              OTA_HOME                    directory for firmware slots and downloads
              OTA_CA                      PEM file of authorities to trust instead of the system's
              OTA_PLAIN=true              no TLS
              OTA_NETWORKS                where files may come from besides the Internet, for example 192.168.0.0/16
              OTA_WINDOW                  when to install, for example 02:00-04:30 (default: at any time)""";

    /** @throws IllegalArgumentException when something is missing or makes no sense */
    static Settings from(Map<String, String> environment, String... args) {
        Map<String, Path> modules = new LinkedHashMap<>();
        for (String arg : args) {
            int equals = arg.indexOf('=');
            if (equals < 1) {
                throw new IllegalArgumentException(arg + " (expected: MODULE=JAR)");
            }
            modules.put(arg.substring(0, equals), Path.of(arg.substring(equals + 1)));
        }
        String authorities = environment.get("OTA_CA");
        String[] window = environment.getOrDefault("OTA_WINDOW", "00:00-00:00").split("-", -1);
        try {
            return new Settings(
                    required(environment, "OTA_HOST"),
                    Integer.parseInt(environment.getOrDefault("OTA_PORT", "8883")),
                    Boolean.parseBoolean(environment.get("OTA_PLAIN")),
                    authorities == null ? null : Path.of(authorities),
                    networks(environment.getOrDefault("OTA_NETWORKS", "")),
                    required(environment, "OTA_PRODUCT"),
                    required(environment, "OTA_DEVICE"),
                    Path.of(required(environment, "OTA_SECRET_FILE")),
                    Path.of(required(environment, "OTA_HOME")),
                    modules,
                    LocalTime.parse(window[0]),
                    LocalTime.parse(window[window.length - 1]));
        } catch (DateTimeException e) {
            throw new IllegalArgumentException("OTA_WINDOW: " + e.getMessage(), e);
        }
    }

    private static List<String> networks(String listed) {
        return Stream.of(listed.split("[, ]+"))
                .filter(network -> !network.isEmpty())
                .toList();
    }

    private static String required(Map<String, String> environment, String name) {
        String value = environment.get(name);
        if (value == null || value.isEmpty()) {
            throw new IllegalArgumentException(name + " is missing");
        }
        return value;
    }
}
