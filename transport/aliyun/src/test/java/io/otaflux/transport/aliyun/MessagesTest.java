package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

/** What is sent, byte for byte as the platform's documents print it. */
class MessagesTest {

    @Test
    void aVersionReportNamesItsModule() {
        assertThat(new String(Messages.inform("123", "MCU", "1.0.1"), UTF_8))
                .isEqualTo("{\"id\":\"123\",\"params\":{\"version\":\"1.0.1\",\"module\":\"MCU\"}}");
    }

    @Test
    void aVersionReportOfTheDeviceItselfNamesNone() {
        assertThat(new String(Messages.inform("123", "default", "1.0.1"), UTF_8))
                .isEqualTo("{\"id\":\"123\",\"params\":{\"version\":\"1.0.1\"}}");
    }

    @Test
    void aStepIsAString() {
        assertThat(new String(Messages.progress("123", "MCU", new Step(50, "half")), UTF_8))
                .isEqualTo("{\"id\":\"123\",\"params\":{\"step\":\"50\",\"desc\":\"half\",\"module\":\"MCU\"}}");
        assertThat(new String(Messages.progress("4294967295", "default", new Step(-1, "")), UTF_8))
                .isEqualTo("{\"id\":\"4294967295\",\"params\":{\"step\":\"-1\",\"desc\":\"\"}}");
    }

    @Test
    void aQuestionHasTheDocumentsShape() {
        assertThat(new String(Messages.query("123", "MCU"), UTF_8))
                .isEqualTo("{\"id\":\"123\",\"version\":\"1.0\",\"params\":{\"module\":\"MCU\"},"
                        + "\"method\":\"thing.ota.firmware.get\"}");
        assertThat(new String(Messages.query("123", "default"), UTF_8))
                .isEqualTo("{\"id\":\"123\",\"version\":\"1.0\",\"params\":{},\"method\":\"thing.ota.firmware.get\"}");
    }

    @Test
    void theQuestionForAConfigurationHasTheDocumentsShape() {
        assertThat(new String(Messages.configurationQuery("123"), UTF_8))
                .isEqualTo("{\"id\":\"123\",\"version\":\"1.0\",\"params\":{\"configScope\":\"product\","
                        + "\"getType\":\"file\"},\"method\":\"thing.config.get\"}");
        assertThat(new String(Messages.reply("123"), UTF_8)).startsWith("{\"id\":\"123\",\"code\":200,\"data\":{}");
    }

    @Test
    void theQuestionOf2018IsANumberAndAVersion() {
        assertThat(new String(Messages.legacyQuery("1", "1.0.1"), UTF_8))
                .isEqualTo("{\"id\":1,\"params\":{\"version\":\"1.0.1\"}}");
        assertThat(new String(Messages.legacyQuery("4294967295", null), UTF_8))
                .isEqualTo("{\"id\":4294967295,\"params\":{}}");
    }

    /** The example of the documents: the clock here is at 100 when the platform's is at 1000. */
    @Test
    void theTimeIsTheDocumentsOne() throws MalformedMessage {
        assertThat(new String(Messages.time(100), UTF_8)).isEqualTo("{\"deviceSendTime\":\"100\"}");
        for (String answer : List.of(
                "{\"deviceSendTime\":\"100\",\"serverRecvTime\":\"1010\",\"serverSendTime\":\"1015\"}",
                "{\"deviceSendTime\":100,\"serverSendTime\":1015,\"serverRecvTime\":1010}")) {
            assertThat(Messages.readTime(answer, 100, 125)).hasValue(1025);
            assertThat(Messages.readTime(answer, 101, 125))
                    .as("another question's")
                    .isEmpty();
        }
        for (String senseless : List.of("", "[]", "{\"deviceSendTime\":\"100\",\"serverRecvTime\":\"x\"}")) {
            assertThatThrownBy(() -> Messages.readTime(senseless, 100, 125)).isInstanceOf(MalformedMessage.class);
        }
    }

    @Test
    void textsAreEscaped() {
        assertThat(new String(Messages.progress("1", "a", new Step(-2, "a \"b\" \\ ü")), UTF_8))
                .isEqualTo(
                        "{\"id\":\"1\",\"params\":{\"step\":\"-2\",\"desc\":\"a \\\"b\\\" \\\\ ü\",\"module\":\"a\"}}");
    }

    @Test
    void whatCannotBeReadIsNotQuoted() {
        assertThatThrownBy(() -> Messages.read("{\"url\":\"https://h/?token=CANARY".getBytes(UTF_8)))
                .isInstanceOf(MalformedMessage.class)
                .hasMessageNotContaining("CANARY")
                .hasNoCause();
    }
}
