package io.otaflux.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class UsageTest {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "demo",
                "platform",
                "device",
                "device add",
                "download",
                "package",
                "package add",
                "package list",
                "job",
                "job create",
                "job list",
                "job watch",
                "job cancel",
                "job stop",
                "task",
                "task list",
                "task history",
                "task confirm",
                "task retry",
                "task cancel",
                "group",
                "group set",
                "group list"
            })
    void everyCommandExplainsItself(String command) {
        Cli.Outcome outcome = Cli.run((Object[]) (command + " --help").strip().split(" "));

        assertThat(outcome.exitCode()).isZero();
        assertThat(outcome.out().get(0)).startsWith("Usage: otaflux").contains(command);
        assertThat(outcome.err()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "dance",
                "demo --loud",
                "demo --size many",
                "demo --size 0",
                "demo --module web",
                "platform --mqtt-port 70000",
                "platform --tls-cert cert.pem",
                "platform --client-ca ca.pem",
                "platform --tls-cert cert.pem --tls-key key.pem --broker tcp://127.0.0.1",
                "platform --http-port none",
                "platform --broker http://127.0.0.1",
                "platform --public-url ota.example.com",
                "device",
                "device --host h",
                "device --host h --port 1 --product-key k --device-name d --device-secret-file /none --store s --module a=1",
                "device add",
                "download",
                "download https://127.0.0.1/f",
                "download -o f",
                "download https://127.0.0.1/f -o f --sha256 12",
                "download https://127.0.0.1/f -o f --md5 zz",
                "download https://127.0.0.1/f -o f --md5 a --sha256 b",
                "download https://127.0.0.1/f -o f --size -1",
                "download https://127.0.0.1/f -o f --retries -1",
                "download https://127.0.0.1/f -o f --timeout 0s",
                "download https://127.0.0.1/f -o f --timeout soon",
                "download https://127.0.0.1/f -o f --deadline -1s",
                "download https://127.0.0.1/f -o f --deadline 5w",
                "download https://127.0.0.1/f -o f --ca /none",
                "download https://127.0.0.1/f -o f --allow-network 10.0.0.0/33",
                "download https:///f -o f",
                "download ftp://127.0.0.1/f -o f",
                "download f -o f",
                "package",
                "package add",
                "package add /none --product-key k --version 1",
                "package list --data /none",
                "job",
                "job create",
                "job watch",
                "job create --package p1 --gray-percent many",
                "job create --package p1 --dynamic soon",
                "job create --package p1 --tag novalue",
                "job cancel",
                "job stop",
                "task",
                "task list",
                "task retry",
                "group",
                "group set",
                "group list",
                "job list --url x:y --token t"
            })
    void whatMakesNoSenseIs2InOneLine(String command) {
        Cli.Outcome outcome = Cli.run((Object[]) (command.isEmpty() ? new String[0] : command.split(" ")));

        assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(2);
        assertThat(outcome.out()).isEmpty();
        assertThat(outcome.err()).hasSize(1);
        assertThat(outcome.err().get(0)).startsWith("otaflux").contains("--help)");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "download https://127.0.0.1/f -o f",
                "device --host h --port 1 --product-key k --device-name d --device-secret-file SECRET --store s --module a=1"
            })
    void aNetworkThatIsNoneIsTold(String command, @TempDir Path directory) throws IOException {
        Path secret = Files.writeString(directory.resolve("secret"), "0123456789abcdef");

        Cli.Outcome outcome = Cli.run((Object[])
                (command.replace("SECRET", secret.toString()) + " --allow-network 10.0.0.0/8 --allow-network lan")
                        .split(" "));

        assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(2);
        assertThat(outcome.err()).singleElement().asString().contains("--allow-network: network: \"lan\"");
    }

    @Test
    void whatIsTypedInTheWrongPlaceIsNotRepeatedWithItsQuery() {
        Cli.Outcome outcome = Cli.run(
                "download", "https://127.0.0.1/a?k=CANARY", "https://user:CANARY@127.0.0.1/b?k=CANARY", "-o", "f");

        assertThat(outcome.exitCode()).isEqualTo(2);
        assertThat(outcome.all()).doesNotContain("CANARY");
    }

    @Test
    void aTokenThatIsNoneIsNotRepeated() {
        Cli.Outcome outcome = Cli.run("package", "list", "--url", "http://127.0.0.1:1", "--token", "CANARY\nx");

        assertThat(outcome.exitCode()).as("%s", outcome).isEqualTo(2);
        assertThat(outcome.err()).hasSize(1);
        assertThat(outcome.all()).doesNotContain("CANARY");
    }

    @Test
    void aUrlThatIsNoneIsNotRepeated() {
        Cli.Outcome outcome = Cli.run("download", "https://127.0.0.1/a b?k=CANARY", "-o", "f");

        assertThat(outcome.exitCode()).isEqualTo(2);
        assertThat(outcome.all()).doesNotContain("CANARY");
    }

    @Test
    void theVersionIsTold() {
        assertThat(Cli.run("--version").out()).hasSize(1).first().asString().startsWith("otaflux ");
    }
}
