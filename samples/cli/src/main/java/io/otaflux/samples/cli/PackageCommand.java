package io.otaflux.samples.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The packages of a platform. */
@Command(
        name = "package",
        subcommands = {PackageCommand.Add.class, PackageCommand.ListAll.class},
        synopsisSubcommandLabel = "COMMAND",
        description = "Adds and lists the versions that a platform can bring to devices.")
final class PackageCommand {

    @Command(
            name = "add",
            description = "Uploads a file, or up to 20 together, as a version of a module. Prints the package's id.")
    static final class Add implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Parameters(
                paramLabel = "FILE",
                arity = "1..20",
                description = "The file that brings the version. Of several, devices are told the names.")
        private List<Path> files = List.of();

        @Option(names = "--product-key", required = true, paramLabel = "K", description = "The product it is for.")
        @SuppressWarnings("NullAway.Init")
        private String productKey;

        @Option(
                names = "--module",
                paramLabel = "NAME",
                defaultValue = "default",
                description = "The module it upgrades. Defaults to ${DEFAULT-VALUE}, the device's own firmware.")
        @SuppressWarnings("NullAway.Init")
        private String module;

        @Option(names = "--version", required = true, paramLabel = "V", description = "The version that it brings.")
        @SuppressWarnings("NullAway.Init")
        private String version;

        @Option(
                names = "--sign-method",
                paramLabel = "METHOD",
                description = "The digest that devices are sent: SHA256, which is the default, or MD5.")
        private @Nullable String signMethod;

        @Option(names = "--name", paramLabel = "TEXT", description = "What people call it; unique. Defaults to none.")
        private @Nullable String name;

        @Option(
                names = "--delta-from",
                paramLabel = "V",
                description = "It is a delta, which only devices that run this version can apply.")
        private @Nullable String deltaFrom;

        @Option(names = "--custom-info", paramLabel = "TEXT", description = "Free text for devices (_package_udi).")
        private @Nullable String customInfo;

        @Option(names = "--verify", description = "Keep it from devices until a job create --verify has succeeded.")
        private boolean verify;

        @Option(names = "--sign", description = "Sign the digest with the platform's key (digestsign).")
        private boolean sign;

        @Option(names = "--json", description = "Print the package as JSON.")
        private boolean json;

        @Override
        public Integer call() {
            for (Path file : files) {
                if (!Files.isRegularFile(file)) {
                    throw new ParameterException(spec.commandLine(), file + ": is no file");
                }
            }
            JsonNode added = files.size() == 1
                    ? api.upload("/packages", properties(), files.get(0))
                    : api.post("/packages", several());
            spec.commandLine()
                    .getOut()
                    .println(json ? added.toString() : Line.of(added.path("id").asText()));
            return ExitCode.OK;
        }

        private ObjectNode several() {
            ObjectNode request = api.object();
            properties().forEach(request::put);
            request.put("needToVerify", verify).put("digestSign", sign);
            ArrayNode described = request.putArray("files");
            for (Path file : files) {
                JsonNode uploaded = api.upload("/files", Map.of(), file);
                described
                        .addObject()
                        .put("name", String.valueOf(file.getFileName()))
                        .put("sha256", uploaded.path("sha256").asText());
            }
            return request;
        }

        private Map<String, String> properties() {
            Map<String, String> properties = new LinkedHashMap<>();
            properties.put("product", productKey);
            properties.put("module", module);
            properties.put("version", version);
            properties.put("needToVerify", String.valueOf(verify));
            properties.put("digestSign", String.valueOf(sign));
            put(properties, "signMethod", signMethod);
            put(properties, "name", name);
            put(properties, "srcVersion", deltaFrom);
            put(properties, "customInfo", customInfo);
            return properties;
        }

        private static void put(Map<String, String> properties, String key, @Nullable String value) {
            if (value != null) {
                properties.put(key, value);
            }
        }
    }

    @Command(name = "list", description = "Lists the packages: id, product, module, version, size, SHA-256.")
    static final class ListAll implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Option(names = "--json", description = "Print them as one JSON array.")
        private boolean json;

        @Override
        public Integer call() {
            Rows.print(
                    spec.commandLine().getOut(),
                    api.get("/packages"),
                    json,
                    "id",
                    "productKey",
                    "module",
                    "version",
                    "size",
                    "sha256");
            return ExitCode.OK;
        }
    }
}
