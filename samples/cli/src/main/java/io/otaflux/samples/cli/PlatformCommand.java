package io.otaflux.samples.cli;

import io.otaflux.samples.platform.Platform;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Runs the platform until a signal ends it. */
@Command(
        name = "platform",
        description = {
            "Runs an OTA platform on the loopback address until Ctrl-C or SIGTERM: an MQTT broker, a file server, a REST API"
                    + " (described at /api/v1/openapi.json) and a web page.",
            "When it is ready it prints one line with its ports, and to a terminal also a link to the page that has the"
                    + " access token in it. What the other commands need to find it is in its data directory: the"
                    + " token, and where the API is."
        })
final class PlatformCommand implements Callable<Integer> {

    private static final Set<String> SCHEMES = Set.of("http", "https");

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(names = "--mqtt-port", paramLabel = "N", description = "Port for devices. Defaults to a free one.")
    private int mqttPort;

    @Option(
            names = "--http-port",
            paramLabel = "N",
            description = "Port of the file server and the REST API. Defaults to a free one.")
    private int httpPort;

    @Option(
            names = "--data",
            paramLabel = "DIR",
            defaultValue = PlatformApi.DEFAULT_DATA,
            description = "Where its state is kept. Defaults to ${DEFAULT-VALUE}.")
    @SuppressWarnings("NullAway.Init")
    private Path data;

    @Option(
            names = "--broker",
            paramLabel = "URL",
            description =
                    "Use this broker, tcp://host[:port], instead of an own one. It then is what decides who logs in.")
    private @Nullable URI broker;

    @Option(
            names = "--tls-cert",
            paramLabel = "FILE",
            description =
                    "Listen for devices with TLS too, with this certificate: PEM, with those that lead to its authority.")
    private @Nullable Path tlsCertificate;

    @Option(
            names = "--tls-key",
            paramLabel = "FILE",
            description = "The certificate's key: PEM, PKCS #8, not encrypted.")
    private @Nullable Path tlsKey;

    @Option(names = "--tls-port", paramLabel = "N", description = "Port for devices with TLS. Defaults to a free one.")
    private int tlsPort;

    @Option(
            names = "--client-ca",
            paramLabel = "FILE",
            description = "The authorities of certificates that devices may log in with, PEM. Defaults to none.")
    private @Nullable Path clientAuthorities;

    @Option(
            names = "--bind",
            paramLabel = "ADDRESS",
            description = "Address to listen on. Defaults to 127.0.0.1. Others see what passes over a network: have"
                    + " something in front of the platform that speaks TLS.")
    private @Nullable String address;

    @Option(
            names = "--public-url",
            paramLabel = "URL",
            description = "What devices and browsers reach the platform by, for example https://ota.example.com."
                    + " Defaults to its own address and port.")
    private @Nullable URI publicUrl;

    @Option(names = "--new-token", description = "Make a new access token; the one of earlier runs is no longer good.")
    private boolean newToken;

    @Option(
            names = "--signing-key",
            paramLabel = "FILE",
            description =
                    "The RSA key, PEM of PKCS #8, that packages are signed with. Defaults to one that is made in the data"
                            + " directory when it is needed.")
    private @Nullable Path signingKey;

    @Override
    public Integer call() {
        checkPort("--mqtt-port", mqttPort);
        checkPort("--tls-port", tlsPort);
        checkTls();
        checkPort("--http-port", httpPort);
        if (broker != null && mqttPort != 0) {
            throw new ParameterException(spec.commandLine(), "--mqtt-port: is for the platform's own broker");
        }
        if (publicUrl != null
                && (publicUrl.getHost() == null || !SCHEMES.contains(String.valueOf(publicUrl.getScheme())))) {
            throw new ParameterException(
                    spec.commandLine(), "--public-url: " + publicUrl + " (expected: http or https)");
        }
        try (Foreground foreground = new Foreground()) {
            Platform platform = start();
            foreground.atEnd(platform::close);
            Path note = PlatformApi.announce(data, platform.httpUri());
            foreground.atEnd(() -> PlatformApi.withdraw(note));
            var out = spec.commandLine().getOut();
            out.println("platform ready: mqtt-port=" + platform.mqttPort()
                    + (tlsCertificate == null ? "" : " mqtt-tls-port=" + platform.mqttTlsPort())
                    + " http-port=" + platform.httpPort()
                    + " url=" + platform.httpUri() + " data="
                    + data.toAbsolutePath().normalize());
            out.flush();
            if (ProgressBar.isTerminal()) {
                var terminal = spec.commandLine().getErr();
                terminal.println("page: " + platform.pageUri());
                terminal.flush();
            }
            foreground.untilSignal();
        }
        return ExitCode.OK;
    }

    private Platform start() {
        Platform.Builder builder =
                Platform.builder().dataDirectory(data).mqttPort(mqttPort).httpPort(httpPort);
        try {
            if (broker != null) {
                builder.broker(broker);
            }
            if (tlsCertificate != null && tlsKey != null) {
                builder.tls(tlsPort, tlsCertificate, tlsKey, clientAuthorities);
            }
            if (address != null) {
                builder.host(address);
            }
            if (publicUrl != null) {
                builder.downloadBase(publicUrl);
            }
            if (newToken) {
                builder.newToken();
            }
            if (signingKey != null) {
                builder.signingKey(signingKey);
            }
            return builder.start();
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), Line.of(e), e);
        } catch (IOException | RuntimeException e) {
            throw new CommandFailedException(ExitCode.FAILED, "the platform does not start: " + Line.of(e), e);
        }
    }

    private void checkTls() {
        if ((tlsCertificate == null) != (tlsKey == null)) {
            throw new ParameterException(
                    spec.commandLine(), "--tls-cert and --tls-key: one is no use without the other");
        }
        if (tlsCertificate == null && (clientAuthorities != null || tlsPort != 0)) {
            throw new ParameterException(spec.commandLine(), "--client-ca, --tls-port: are for --tls-cert");
        }
        if (tlsCertificate != null && broker != null) {
            throw new ParameterException(spec.commandLine(), "--tls-cert: is for the platform's own broker");
        }
    }

    private void checkPort(String option, int port) {
        if (port < 0 || port > 65_535) {
            throw new ParameterException(spec.commandLine(), option + ": " + port + " (expected: 0 to 65535)");
        }
    }
}
