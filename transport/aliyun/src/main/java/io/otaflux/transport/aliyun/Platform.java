package io.otaflux.transport.aliyun;

import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Stream;
import javax.net.ssl.KeyManagerFactory;
import org.jspecify.annotations.Nullable;

/** Where a builder was told that the platform is: the hosts that the vendor's documents name, or any other. */
final class Platform {

    private static final String LABEL = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}";

    private @Nullable String region;
    private @Nullable String instanceId;
    private boolean unified;
    private @Nullable String host;
    private int port;
    private boolean tls = true;
    private @Nullable Path authorities;

    void region(String region) {
        this.region = region;
    }

    void instanceId(String instanceId, boolean unified) {
        this.instanceId = instanceId;
        this.unified = unified;
    }

    /** The instance, if one was named. */
    @Nullable
    String instanceId() {
        return instanceId;
    }

    void host(String host) {
        this.host = host;
    }

    void port(int port) {
        this.port = port;
    }

    void plainTcp() {
        this.tls = false;
    }

    boolean tls() {
        return tls;
    }

    void trust(Path authorities) {
        this.authorities = authorities;
    }

    /**
     * Where devices of {@code product} speak MQTT.
     *
     * @param identity the device's certificate; null where it has none
     * @throws IllegalArgumentException when something is missing, contradictory or out of range
     */
    Endpoint mqtt(String product, @Nullable KeyManagerFactory identity) {
        check();
        if (!tls && identity != null) {
            throw new IllegalArgumentException("certificate: given (expected: none with plain TCP)");
        }
        boolean publicCertificate = host == null && authorities == null;
        return endpoint(
                host != null ? host() : hostName(product, identity != null),
                tls && !publicCertificate ? 8883 : 1883,
                identity);
    }

    /** Where devices are registered over HTTP. */
    Endpoint http() {
        check();
        if (host == null && region == null) {
            throw new IllegalArgumentException("region: none (expected: one, to register over HTTP)");
        }
        return endpoint(
                host != null ? host() : "iot-auth." + checked("region", region, LABEL) + ".aliyuncs.com",
                tls ? 443 : 80,
                null);
    }

    private Endpoint endpoint(String name, int defaultPort, @Nullable KeyManagerFactory identity) {
        return new Endpoint(
                name,
                port == 0 ? defaultPort : port,
                tls,
                authorities == null ? null : Pem.authorities(authorities),
                identity);
    }

    private void check() {
        if (Stream.of(region, instanceId, host).filter(Objects::nonNull).count() != 1) {
            throw new IllegalArgumentException("platform: region " + region + ", instance " + instanceId + ", host "
                    + host + " (expected: exactly one of them)");
        }
        if (port < 0 || port > 65535) {
            throw new IllegalArgumentException("port: " + port + " (expected: 1 to 65535)");
        }
        if (!tls && authorities != null) {
            throw new IllegalArgumentException("trust: " + authorities + " (expected: none with plain TCP)");
        }
    }

    private String host() {
        return checked("host", host, "[A-Za-z0-9.:_-]{1,253}");
    }

    private String hostName(String product, boolean certified) {
        if (region == null) {
            String instance = checked("instance id", instanceId, LABEL);
            return instance + (unified ? ".iot-as-mqtt.unify.aliyuncs.com" : ".mqtt.iothub.aliyuncs.com");
        }
        String checkedRegion = checked("region", region, LABEL);
        return certified
                ? "x509.itls." + checkedRegion + ".aliyuncs.com"
                : checked("product key", product, LABEL) + ".iot-as-mqtt." + checkedRegion + ".aliyuncs.com";
    }

    private static String checked(String what, @Nullable String value, String pattern) {
        if (value == null || !value.matches(pattern)) {
            String shown = value == null ? "none" : "\"" + value.replaceAll("[^\\x20-\\x7e]", "?") + "\"";
            throw new IllegalArgumentException(what + ": " + shown + " (expected: " + pattern + ")");
        }
        return value;
    }
}
