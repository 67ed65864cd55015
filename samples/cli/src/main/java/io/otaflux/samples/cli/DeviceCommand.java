package io.otaflux.samples.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.otaflux.OtaException;
import io.otaflux.UpgradeEvent;
import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Runs one device: a real agent that keeps what it is told to up to date. */
@Command(
        name = "device",
        subcommands = DeviceCommand.Add.class,
        description = {
            "Runs a device: connects to a platform, reports its versions, and takes on the upgrades that it is sent, until"
                    + " Ctrl-C or SIGTERM.",
            "An upgrade of the module default restarts the device: here, the agent closes everything and starts anew from"
                    + " what is on disk.",
            "The subcommand add registers a device with a platform."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:With --once: the upgrade succeeded.",
            "1:With --once: it did not. Without: the platform refuses the device, or its store cannot be used.",
            "2:The command line makes no sense.",
            "130:Ended by Ctrl-C (143: SIGTERM)."
        })
final class DeviceCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @ArgGroup(exclusive = false, multiplicity = "0..1")
    private @Nullable Running running;

    static final class Running {

        @Option(names = "--host", required = true, paramLabel = "H", description = "The platform's host.")
        @SuppressWarnings("NullAway.Init")
        String host;

        @Option(names = "--port", required = true, paramLabel = "P", description = "Its MQTT port.")
        int port;

        @Option(names = "--tls", description = "Talk TLS. Without it downloads may come over plain http, too.")
        boolean tls;

        @Option(
                names = "--ca",
                paramLabel = "FILE",
                description =
                        "Certificate authorities to trust (PEM), for the connection and for downloads, instead of the"
                                + " system's.")
        @Nullable
        Path authorities;

        @Option(names = "--product-key", required = true, paramLabel = "K", description = "The device's product.")
        @SuppressWarnings("NullAway.Init")
        String productKey;

        @Option(names = "--device-name", required = true, paramLabel = "D", description = "The device's name.")
        @SuppressWarnings("NullAway.Init")
        String deviceName;

        @Option(
                names = "--device-secret-file",
                required = true,
                paramLabel = "F",
                description = "The file that has the device's secret.")
        @SuppressWarnings("NullAway.Init")
        Path secretFile;

        @Option(
                names = "--store",
                required = true,
                paramLabel = "DIR",
                description = "Where it keeps downloads and what it must remember.")
        @SuppressWarnings("NullAway.Init")
        Path store;

        @Option(
                names = "--module",
                required = true,
                paramLabel = "NAME=VERSION",
                description = "A module and the version that it runs, before any upgrade by this device. Repeatable.")
        @SuppressWarnings("NullAway.Init")
        Map<String, String> versions;

        @Option(
                names = "--install",
                paramLabel = "NAME=PATH",
                description =
                        "Where a module is installed: a file that is replaced; for the module default, a directory"
                                + " with two slots. Repeatable.")
        Map<String, Path> places = new LinkedHashMap<>();

        @Option(
                names = "--allow-network",
                paramLabel = "CIDR",
                description =
                        "A network that files may come from besides the public Internet, for example 192.168.0.0/16, or"
                                + " 127.0.0.0/8 for this machine. Repeatable.")
        List<String> networks = List.of();

        @Option(names = "--once", description = "Exit after the first upgrade that has ended.")
        boolean once;

        @Option(names = "--json", description = "Write each event as one line of JSON.")
        boolean json;
    }

    @Override
    public Integer call() {
        Running options = running;
        if (options == null) {
            throw usage("Missing required options: --host, --port, --product-key, --device-name, --device-secret-file,"
                    + " --store, --module");
        }
        if (!options.tls && options.authorities != null) {
            throw usage("--ca: is for --tls");
        }
        String secret = read(options.secretFile);
        EventPrinter printer =
                EventPrinter.of(spec.commandLine().getOut(), spec.commandLine().getErr(), options.json);
        UpgradeEvent[] end = new UpgradeEvent[1];
        try (Foreground foreground = new Foreground()) {
            Agent agent = new Agent(
                    new Agent.Settings(
                            connection(options, secret)::build,
                            source(options)::build,
                            options.store,
                            options.versions,
                            options.places),
                    printer::line);
            foreground.atEnd(agent::awaitClosed);
            foreground.run(agent.run(event -> options.once && event instanceof UpgradeEvent.Ended), event -> {
                printer.accept(event);
                end[0] = event;
            });
        } catch (OtaException e) {
            throw new CommandFailedException(ExitCode.FAILED, Line.of(e), e);
        }
        return end[0] instanceof UpgradeEvent.Succeeded ? ExitCode.OK : ExitCode.FAILED;
    }

    private AliyunDevice.Builder connection(Running options, String secret) {
        AliyunDevice.Builder builder = AliyunDevice.builder()
                .host(options.host)
                .port(options.port)
                .credentials(options.productKey, options.deviceName, secret);
        if (!options.tls) {
            builder.plainTcp();
        } else if (options.authorities != null) {
            builder.trust(options.authorities);
        }
        try {
            builder.build();
        } catch (IllegalArgumentException e) {
            throw usage(Line.of(e));
        }
        return builder;
    }

    private HttpArtifactSource.Builder source(Running options) {
        HttpArtifactSource.Builder builder = HttpArtifactSource.builder().allowHttp(!options.tls);
        try {
            builder.allowNetworks(options.networks.toArray(String[]::new));
        } catch (IllegalArgumentException e) {
            throw usage("--allow-network: " + Line.of(e));
        }
        try {
            return options.authorities == null ? builder : builder.trustedCertificates(options.authorities);
        } catch (IllegalArgumentException e) {
            throw usage("--ca: " + Line.of(e));
        }
    }

    private String read(Path file) {
        try {
            String secret = Files.readString(file, StandardCharsets.UTF_8).strip();
            if (secret.isEmpty()) {
                throw usage("--device-secret-file: " + file + " is empty");
            }
            return secret;
        } catch (IOException e) {
            throw usage("--device-secret-file: cannot read " + file);
        }
    }

    private ParameterException usage(String message) {
        return new ParameterException(spec.commandLine(), message);
    }

    /** Registers a device. */
    @Command(
            name = "add",
            description = {
                "Registers a device with a platform, and its product if there is none of that name.",
                "The platform makes the device's secret and tells it this once: it goes to a file, or, without"
                        + " --secret-file, is what this command prints."
            })
    static final class Add implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Option(names = "--product-key", required = true, paramLabel = "K", description = "The device's product.")
        @SuppressWarnings("NullAway.Init")
        private String productKey;

        @Option(names = "--device-name", required = true, paramLabel = "D", description = "The device's name.")
        @SuppressWarnings("NullAway.Init")
        private String deviceName;

        @Option(
                names = "--secret-file",
                paramLabel = "F",
                description = "Where to write the secret: a file that is not there yet, for its owner alone.")
        private @Nullable Path secretFile;

        @Override
        public Integer call() {
            createSecretFile();
            try {
                boolean known = false;
                for (JsonNode product : api.get("/products")) {
                    known |= product.path("productKey").asText().equals(productKey);
                }
                if (!known) {
                    api.post("/products", api.object().put("productKey", productKey));
                }
                JsonNode device = api.post(
                        "/products/" + PlatformApi.encoded(productKey) + "/devices",
                        api.object().put("deviceName", deviceName));
                handOver(device.path("deviceSecret").asText());
            } catch (CommandFailedException | ParameterException e) {
                removeSecretFile();
                throw e;
            }
            return ExitCode.OK;
        }

        /** Before the device is: a secret that cannot be kept is lost. */
        private void createSecretFile() {
            if (secretFile == null) {
                return;
            }
            try {
                Files.createFile(
                        secretFile, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            } catch (FileAlreadyExistsException e) {
                throw new CommandFailedException(
                        ExitCode.FAILED, secretFile + ": exists (expected: a file that is not there yet)", e);
            } catch (IOException e) {
                throw new CommandFailedException(ExitCode.FAILED, "Could not create " + secretFile, e);
            }
        }

        private void handOver(String secret) {
            if (secretFile == null) {
                spec.commandLine().getOut().println(secret);
                return;
            }
            try {
                Files.writeString(secretFile, secret + "\n");
            } catch (IOException e) {
                throw new CommandFailedException(ExitCode.FAILED, "Could not write " + secretFile, e);
            }
            spec.commandLine().getOut().println(productKey + "/" + deviceName);
        }

        private void removeSecretFile() {
            if (secretFile != null) {
                PlatformApi.withdraw(secretFile);
            }
        }
    }
}
