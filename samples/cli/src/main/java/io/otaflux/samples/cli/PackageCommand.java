package io.otaflux.samples.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
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

    @Command(name = "add", description = "Uploads a file as a version of a module. Prints the package's id.")
    static final class Add implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init")
        private CommandSpec spec;

        @Mixin
        @SuppressWarnings("NullAway.Init")
        private PlatformApi api;

        @Parameters(paramLabel = "FILE", description = "The file that brings the version.")
        @SuppressWarnings("NullAway.Init")
        private Path file;

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

        @Option(names = "--json", description = "Print the package as JSON.")
        private boolean json;

        @Override
        public Integer call() {
            if (!Files.isRegularFile(file)) {
                throw new ParameterException(spec.commandLine(), file + ": is no file");
            }
            Map<String, String> query = new LinkedHashMap<>();
            query.put("product", productKey);
            query.put("module", module);
            query.put("version", version);
            if (signMethod != null) {
                query.put("signMethod", signMethod);
            }
            JsonNode added = api.upload("/packages", query, file);
            spec.commandLine()
                    .getOut()
                    .println(json ? added.toString() : Line.of(added.path("id").asText()));
            return ExitCode.OK;
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
