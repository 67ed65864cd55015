package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DeviceMessagesTest {

    private static final Instant NOW = Instant.ofEpochMilli(1695281536874L);
    private static final ObjectMapper JSON = new ObjectMapper();

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = ';',
            value = {
                "as documented; {\"id\":\"123\",\"params\":{\"version\":\"1.0.1\",\"module\":\"MCU\"}}; MCU",
                "as the C SDK sends it; {\"id\":0, \"params\":{\"version\":\"1.0.1\"}}; default",
                "id as a number; {\"id\":4294967295,\"params\":{\"version\":\"1.0.1\",\"module\":\"default\"}}; default",
                "without an id; {\"params\":{\"version\":\"1.0.1\"}}; default",
                "empty module; {\"params\":{\"version\":\"1.0.1\",\"module\":\"\"}}; default",
                "null module; {\"params\":{\"version\":\"1.0.1\",\"module\":null}}; default",
                "commas too many; {\"id\":1,\"params\":{\"version\":\"1.0.1\",},}; default",
                "with method and version; {\"id\":\"1\",\"version\":\"1.0\",\"method\":\"x\",\"params\":{\"version\":\"1.0.1\"}}; default",
                "unknown fields; {\"a\":[1],\"params\":{\"b\":{},\"version\":\"1.0.1\"}}; default"
            })
    void anInformIsReadHoweverItIsWritten(String how, String text, String module) {
        assertThat(DeviceMessages.readInform(bytes(text)))
                .as(how)
                .isEqualTo(new DeviceMessages.Inform(module, "1.0.1"));
    }

    @Test
    void theTerminatorOfACStringIsNotPartOfTheMessage() {
        assertThat(DeviceMessages.readInform(bytes("{\"params\":{\"version\":\"1\"}}\0"))
                        .version())
                .isEqualTo("1");
        assertThat(DeviceMessages.readInform(bytes("{\"params\":{\"version\":\"1\"}}\0\0\0"))
                        .version())
                .isEqualTo("1");
    }

    @ParameterizedTest
    @CsvSource({"'\"50\"', 50", "50, 50", "'\"-2\"', -2", "-2, -2", "'\" 7 \"', 7", "'\"0\"', 0"})
    void aStepMayBeAStringOrANumber(String step, int expected) {
        DeviceMessages.Progress progress =
                DeviceMessages.readProgress(bytes("{\"id\":1,\"params\":{\"step\":" + step + "}}"));

        assertThat(progress).isEqualTo(new DeviceMessages.Progress("default", expected, ""));
    }

    @Test
    void aProgressHasItsDescriptionAndModule() {
        assertThat(DeviceMessages.readProgress(
                        bytes("{\"params\":{\"step\":\"-1\",\"desc\":\"no space\",\"module\":\"app\"}}\0")))
                .isEqualTo(new DeviceMessages.Progress("app", -1, "no space"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "{\"id\":\"123\",\"version\":\"1.0\",\"params\":{\"module\":\"MCU\"},\"method\":\"thing.ota.firmware.get\"}; MCU; \"123\"",
                "{\"id\":7, \"params\":{}}; default; 7",
                "{\"id\":7}; default; 7",
                "{\"params\":{}}; default; \"\""
            })
    void aQueryKeepsItsIdAsItWas(String text, String module, String id) throws IOException {
        DeviceMessages.Query query = DeviceMessages.readQuery(bytes(text));

        assertThat(query.module()).isEqualTo(module);
        JsonNode reply = JSON.readTree(DeviceMessages.emptyQueryReply(query));
        assertThat(reply)
                .isEqualTo(JSON.readTree("{\"id\":" + id + ",\"code\":200,\"data\":{},\"message\":\"success\"}"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "\0",
                "null",
                "[]",
                "\"x\"",
                "{",
                "{}",
                "{\"params\":[]}",
                "{\"params\":{}}",
                "{\"params\":{\"version\":\"\",\"step\":\"\"}}",
                "{\"params\":{\"version\":\"a b\",\"step\":\"1.5\"}}",
                "{\"params\":{\"version\":{},\"step\":[]}}",
                "{\"params\":{\"version\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}",
                "{\"params\":{\"version\":\"1\",\"module\":\"../x\",\"step\":\"99999999999\"}}",
                "not json"
            })
    void whatCannotBeUnderstoodIsSaidToBeMalformed(String text) {
        assertThatThrownBy(() -> DeviceMessages.readInform(bytes(text)))
                .isInstanceOf(DeviceMessages.MalformedMessageException.class);
        assertThatThrownBy(() -> DeviceMessages.readProgress(bytes(text)))
                .isInstanceOf(DeviceMessages.MalformedMessageException.class);
    }

    @Test
    void aPushForMd5IsWhatTheRealPlatformSends() throws IOException {
        byte[] push = DeviceMessages.push(
                offer(firmware("default", SignMethod.MD5, null), Map.of()),
                file -> URI.create("http://h/f?signature=1"),
                NOW);

        assertThat(JSON.readTree(push)).isEqualTo(JSON.readTree("""
                        {"code":"1000","data":{"size":4252,"version":"1.1","url":"http://h/f?signature=1",
                         "sign":"%1$s","signMethod":"Md5","md5":"%1$s"},"id":1695281536874,"message":"success"}
                        """.formatted("ab".repeat(16))));
    }

    @Test
    void aPushForSha256OfAModuleWithTags() throws IOException {
        byte[] push = DeviceMessages.push(
                offer(firmware("app", SignMethod.SHA256, "{\"k\":1}"), Map.of("CANARY", "yes")),
                file -> URI.create("http://h/f"),
                NOW);

        assertThat(JSON.readTree(push).get("data")).isEqualTo(JSON.readTree("""
                        {"size":4252,"version":"1.1","url":"http://h/f","sign":"%s","signMethod":"Sha256","module":"app",
                         "extData":{"CANARY":"yes","_package_udi":"{\\"k\\":1}"}}
                        """.formatted("cd".repeat(32))));
    }

    @Test
    void theAnswerToAQueryHasTheDataOfThePush() throws IOException {
        Jobs.Offer offer = offer(firmware("app", SignMethod.MD5, null), Map.of());
        Function<PackageFile, URI> url = file -> URI.create("http://h/f");

        JsonNode reply =
                JSON.readTree(DeviceMessages.queryReply(DeviceMessages.readQuery(bytes("{\"id\":5}")), offer, url));

        assertThat(reply.get("data"))
                .isEqualTo(JSON.readTree(DeviceMessages.push(offer, url, NOW)).get("data"));
        assertThat(reply.get("id").intValue()).isEqualTo(5);
        assertThat(reply.get("code").intValue()).isEqualTo(200);
        assertThat(reply.get("message").textValue()).isEqualTo("success");
    }

    @Test
    void aPushForDownloadOverMqttHasTheStreamAndNoUrl() throws IOException {
        FirmwarePackage firmware = firmware("default", SignMethod.MD5, null);
        Jobs.Offer offer = new Jobs.Offer(offer(firmware, Map.of()).task(), firmware, Map.of(), DownloadProtocol.MQTT);

        byte[] push = DeviceMessages.push(
                offer,
                file -> {
                    throw new AssertionError("no URL is wanted");
                },
                NOW);

        assertThat(new String(push, StandardCharsets.UTF_8))
                .as("byte for byte as it was captured, but for the digest and the stream's number")
                .isEqualTo(("{\"code\":\"1000\",\"data\":{\"size\":4252,\"streamId\":12,\"sign\":\"%1$s\","
                                + "\"dProtocol\":\"mqtt\",\"version\":\"1.1\",\"signMethod\":\"Md5\","
                                + "\"streamFileId\":1,\"md5\":\"%1$s\"},\"id\":1695281536874,"
                                + "\"message\":\"success\"}")
                        .formatted("ab".repeat(16)));
    }

    @Test
    void aPackageOfSeveralFilesHasNothingOfOneFile() throws IOException {
        FirmwarePackage two = firmware(
                SignMethod.MD5,
                "1.0",
                new PackageFile("a.bin", 5, "aa", "aaaa", "signature-a"),
                new PackageFile("b.bin", 6, "bb", "bbbb", null));

        byte[] push = DeviceMessages.push(offer(two, Map.of()), file -> URI.create("http://h/" + file.name()), NOW);

        assertThat(JSON.readTree(push).get("data")).isEqualTo(JSON.readTree("""
                        {"version":"1.1","signMethod":"Md5","isDiff":1,"module":"app","files":[
                         {"fileSize":5,"fileName":"a.bin","fileUrl":"http://h/a.bin","fileMd5":"aa","fileSign":"aa",
                          "digestsign":"signature-a"},
                         {"fileSize":6,"fileName":"b.bin","fileUrl":"http://h/b.bin","fileMd5":"bb","fileSign":"bb"}]}
                        """));
    }

    @Test
    void aPackageOfOneFileNeverHasAListOfFiles() throws IOException {
        FirmwarePackage one = firmware(SignMethod.SHA256, null, new PackageFile("a.bin", 5, "aa", "aaaa", "signature"));

        byte[] push = DeviceMessages.push(offer(one, Map.of()), file -> URI.create("http://h/f"), NOW);

        assertThat(JSON.readTree(push).get("data")).isEqualTo(JSON.readTree("""
                        {"version":"1.1","signMethod":"Sha256","module":"app","size":5,"url":"http://h/f","sign":"aaaa",
                         "digestsign":"signature"}
                        """));
    }

    private static FirmwarePackage firmware(String module, SignMethod method, @Nullable String customInfo) {
        return new FirmwarePackage(
                "p12",
                "pk",
                null,
                module,
                "1.1",
                null,
                List.of(new PackageFile(null, 4252, "ab".repeat(16), "cd".repeat(32), null)),
                method,
                customInfo,
                false,
                NOW);
    }

    private static FirmwarePackage firmware(SignMethod method, @Nullable String source, PackageFile... files) {
        return new FirmwarePackage("p12", "pk", null, "app", "1.1", source, List.of(files), method, null, false, NOW);
    }

    private static Jobs.Offer offer(FirmwarePackage firmware, Map<String, String> tags) {
        Task task = Task.create(
                "t1", "j1", new DeviceKey("pk", "dn"), firmware.module(), "1", "2", TaskStatus.QUEUED, "", NOW);
        return new Jobs.Offer(task, firmware, tags, DownloadProtocol.HTTPS);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
