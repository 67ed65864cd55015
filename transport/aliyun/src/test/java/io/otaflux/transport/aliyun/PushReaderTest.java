package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.otaflux.Artifact;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.OtaException.Reason;
import io.otaflux.UpgradeTrigger;
import java.net.URI;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PushReaderTest {

    private static final DeviceId DEVICE = new DeviceId("pk", "dev");
    private static final String MD5 = "00112233445566778899aabbccddeeff";
    private static final String SHA256 = MD5 + MD5;
    private static final String URL = "https://ota.example.com/ota/app.bin?auth_key=1695-0-0-CANARY";
    private static final String BODY =
            "'size':4252,'version':'1.1','url':'" + URL + "','sign':'" + MD5 + "','signMethod':'Md5'";

    // ---- Every shape that is sent ----

    @Test
    void readsTheShapeOnTheWire() {
        UpgradeTrigger trigger =
                upgrade("{'code':'1000','data':{'size':4252,'sign':'" + MD5 + "','version':'1.1','url':'"
                        + URL + "','signMethod':'Md5','md5':'" + MD5
                        + "','module':'MCU'},'id':1695281536874,'message':'success'}");

        assertThat(trigger.device()).isEqualTo(DEVICE);
        assertThat(trigger.module()).isEqualTo("MCU");
        assertThat(trigger.version()).isEqualTo("1.1");
        assertThat(trigger.artifacts()).hasSize(1);
        assertThat(trigger.artifact().size()).isEqualTo(4252);
        assertThat(trigger.artifact().location()).hasToString(URL);
        assertThat(trigger.artifact().digests()).containsExactly(Digest.md5(MD5));
        assertThat(trigger.tags()).isEmpty();
    }

    @Test
    void readsTheShapeInTheDocuments() {
        UpgradeTrigger trigger =
                upgrade("{'id':'123','code':200,'data':{'size':93796291,'version':'10.0.1.9.20171112.1432',"
                        + "'isDiff':0,'url':'" + URL + "','signMethod':'SHA256','sign':'" + SHA256
                        + "','module':'MCU','extData':{'key1':'value1','_package_udi':'{\\'ota_notice\\':\\'x\\'}'}}}");

        assertThat(trigger.artifact().digests()).containsExactly(Digest.sha256(SHA256));
        assertThat(trigger.tags())
                .containsEntry("key1", "value1")
                .containsEntry(AliyunDevice.PACKAGE_INFO, "{\"ota_notice\":\"x\"}");
    }

    @ParameterizedTest
    @ValueSource(strings = {"'code':'1000',", "'code':1000,", "'code':200,", "'code':'200',", "", "'code':null,"})
    void theCodeMayBeAnything(String code) {
        assertThat(upgrade("{" + code + "'data':{" + BODY + "}}").version()).isEqualTo("1.1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"'id':'123',", "'id':1695281536874,", "'id':1507707025,", "", "'id':null,"})
    void theIdMayBeAnything(String id) {
        assertThat(upgrade("{" + id + "'data':{" + BODY + "}}").version()).isEqualTo("1.1");
    }

    @ParameterizedTest
    @CsvSource({
        "MD5,MD5",
        "Md5,MD5",
        "md5,MD5",
        "SHA256,SHA256",
        "Sha256,SHA256",
        "sha256,SHA256",
        "SHA-256,SHA256",
        "sha_256,SHA256"
    })
    void theDigestMethodMayBeSpeltInAnyWay(String name, String method) {
        String sign = method.equals("MD5") ? MD5 : SHA256;

        UpgradeTrigger trigger = upgrade(
                data("'size':1,'version':'1','url':'" + URL + "','sign':'" + sign + "','signMethod':'" + name + "'"));

        assertThat(trigger.artifact().digests())
                .containsExactly(method.equals("MD5") ? Digest.md5(MD5) : Digest.sha256(SHA256));
    }

    @Test
    void theOldestShapeHasOnlyMd5() {
        UpgradeTrigger trigger = upgrade(data("'size':1,'version':'1','url':'" + URL + "','md5':'" + MD5 + "'"));

        assertThat(trigger.artifact().digests()).containsExactly(Digest.md5(MD5));
    }

    @Test
    void aSha256WithAnMd5BesideItAreTwoDigests() {
        UpgradeTrigger trigger = upgrade(data("'size':1,'version':'1','url':'" + URL + "','sign':'" + SHA256
                + "','signMethod':'Sha256','md5':'" + MD5 + "'"));

        assertThat(trigger.artifact().digests()).containsExactlyInAnyOrder(Digest.sha256(SHA256), Digest.md5(MD5));
    }

    @Test
    void anyCaseOfHexadecimalIsRead() {
        assertThat(upgrade(data(BODY.replace(MD5, MD5.toUpperCase())))
                        .artifact()
                        .digests())
                .containsExactly(Digest.md5(MD5));
    }

    @Test
    void aPackageWithoutAnyDigestIsPassedOnAsOne() {
        assertThat(upgrade(data("'size':1,'version':'1','url':'" + URL + "'"))
                        .artifact()
                        .digests())
                .isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ",'module':null", ",'module':''", ",'module':'default'"})
    void noModuleIsTheDeviceItself(String module) {
        assertThat(upgrade(data(BODY + module)).module()).isEqualTo(UpgradeTrigger.DEFAULT_MODULE);
    }

    @Test
    void aSizeMayBeAString() {
        assertThat(upgrade(data(BODY.replace("4252", "'4252'"))).artifact().size())
                .isEqualTo(4252);
    }

    @Test
    void aSizeMayBeBeyondFourGigabytes() {
        assertThat(upgrade(data(BODY.replace("4252", "4294967297"))).size()).isEqualTo(4294967297L);
    }

    @Test
    void zeroBytesAtTheEndAreIgnored() {
        assertThat(upgrade(data(BODY) + "\0").version()).isEqualTo("1.1");
        assertThat(upgrade(data(BODY) + "\0\0\0").version()).isEqualTo("1.1");
    }

    @Test
    void unknownFieldsAreIgnored() {
        assertThat(upgrade("{'x':[1,{'y':null}],'data':{" + BODY + ",'digestsign':'QUJD','z':{'a':1}}}")
                        .version())
                .isEqualTo("1.1");
    }

    @Test
    void aTagThatIsNoTextIsPassedOnAsJson() {
        assertThat(upgrade(data(BODY + ",'extData':{'a':1,'b':{'c':true}}")).tags())
                .containsEntry("a", "1")
                .containsEntry("b", "{\"c\":true}");
    }

    @ParameterizedTest
    @ValueSource(strings = {"null", "'text'", "[]", "7"})
    void tagsThatAreNoObjectAreNoTags(String extData) {
        assertThat(upgrade(data(BODY + ",'extData':" + extData)).tags()).isEmpty();
    }

    @Test
    void severalFilesAreSeveralArtifactsInOrder() {
        UpgradeTrigger trigger = upgrade(data("'version':'2','signMethod':'Md5','module':'app','files':["
                + file("a.bin", 1) + "," + file("b.bin", 2) + "]"));

        assertThat(trigger.artifacts()).extracting(Artifact::name).containsExactly("a.bin", "b.bin");
        assertThat(trigger.artifacts()).extracting(Artifact::size).containsExactly(1L, 2L);
        assertThat(trigger.artifacts())
                .allSatisfy(artifact -> assertThat(artifact.digests()).containsExactly(Digest.md5(MD5)));
    }

    @Test
    void oneFileMayComeAsAList() {
        assertThat(upgrade(data("'version':'2','signMethod':'Md5','files':[" + file("a.bin", 1) + "]"))
                        .artifacts())
                .hasSize(1);
    }

    @Test
    void aFileNameInAnotherScriptIsMadePrintable() {
        assertThat(upgrade(data("'version':'2','signMethod':'Md5','files':[" + file("固件.bin", 1) + "]"))
                        .artifact()
                        .name())
                .isEqualTo("__.bin");
        assertThat(upgrade(data("'version':'2','signMethod':'Md5','files':[" + file("../../etc/passwd", 1) + "]"))
                        .artifact()
                        .name())
                .isEqualTo("_.._.._etc_passwd");
    }

    @Test
    void aFileWithoutANameIsNamedAfterItsModule() {
        String file = file("x", 1).replace("'fileName':'x',", "");

        assertThat(upgrade(data("'version':'2','module':'app','signMethod':'Md5','files':[" + file + "]"))
                        .artifact()
                        .name())
                .isEqualTo("app-0");
    }

    @Test
    void anHttpsPackageMayNameItsProtocol() {
        assertThat(upgrade(data(BODY + ",'dProtocol':'https'")).version()).isEqualTo("1.1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"1", "true", "'1'", "2"})
    void aDeltaIsMarkedAsOne(String isDiff) {
        assertThat(upgrade(data(BODY + ",'isDiff':" + isDiff)).delta()).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ",'isDiff':0", ",'isDiff':'0'", ",'isDiff':false", ",'isDiff':null", ",'isDiff':''"})
    void everythingElseIsWhole(String isDiff) {
        assertThat(upgrade(data(BODY + isDiff)).delta()).isFalse();
    }

    @Test
    void aSignatureIsPassedOnAsItCame() {
        assertThat(upgrade(data(BODY + ",'digestsign':'QUJD+/=='")).artifact().signature())
                .isEqualTo("QUJD+/==");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ",'digestsign':''", ",'digestsign':null", ",'digestsign':7", ",'digestsign':['QUJD']"})
    void whatIsNoTextIsNoSignature(String digestsign) {
        assertThat(upgrade(data(BODY + digestsign)).artifact().signature()).isNull();
    }

    @Test
    void eachOfSeveralFilesHasASignatureOfItsOwn() {
        String file = "{'fileSize':1,'fileUrl':'" + URL + "','fileMd5':'" + MD5 + "','fileName':";
        String files = "'version':'1','signMethod':'Md5','digestsign':'QUJD','isDiff':1,'files':[" + file
                + "'a','digestsign':'YQ=='}," + file + "'b'}]";

        UpgradeTrigger trigger = upgrade(data(files));

        assertThat(trigger.artifacts()).extracting(Artifact::signature).containsExactly("YQ==", null);
        assertThat(trigger.delta()).isTrue();
        assertThat(upgrade(data("'version':'1','digestsign':'QUJD','files':[" + file + "'a'}]"))
                        .artifact()
                        .signature())
                .as("that of the package, where it is one file")
                .isEqualTo("QUJD");
    }

    @Test
    void aDownloadOverMqttNamesItsStream() {
        UpgradeTrigger trigger = upgrade("{'code':'1000','data':{'size':4252,'streamId':12332,'sign':'" + MD5
                + "','dProtocol':'mqtt','version':'1.1','signMethod':'Md5','streamFileId':1,'md5':'" + MD5
                + "'},'id':1695281536874,'message':'success'}");

        assertThat(trigger.version()).isEqualTo("1.1");
        assertThat(trigger.artifact().location()).isEqualTo(URI.create("aliyun-stream:12332/1"));
        assertThat(trigger.artifact().size()).isEqualTo(4252);
        assertThat(trigger.artifact().digests()).containsExactly(Digest.md5(MD5));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "'streamId':12332",
                "'streamFileId':1",
                "'streamId':'x','streamFileId':1",
                "'streamId':-1,'streamFileId':1"
            })
    void aStreamWithoutItsNumbersMakesNoSense(String numbers) {
        assertThat(skipped(data("'size':4252,'version':'1.1','sign':'" + MD5
                                + "','signMethod':'Md5','dProtocol':'mqtt'," + numbers))
                        .cause()
                        .reason())
                .isEqualTo(Reason.MALFORMED_TRIGGER);
    }

    // ---- Remote configurations ----

    @Test
    void aConfigurationIsAnUpgradeOfAModuleOfItsOwn() {
        String data = "'configId':'123dagdah','configSize':1234,'sign':'" + SHA256 + "','signMethod':'Sha256','url':'"
                + URL + "','getType':'file'";

        UpgradeTrigger trigger = ((Push.Upgrade) configuration(data)).trigger();

        assertThat(trigger.module()).isEqualTo(AliyunDevice.CONFIG_MODULE);
        assertThat(trigger.version()).isEqualTo("123dagdah");
        assertThat(trigger.artifact().digests()).containsExactly(Digest.sha256(SHA256));
        assertThat(trigger.artifact().size()).isEqualTo(1234);
        assertThat(trigger.artifact().location()).hasToString(URL);
        UpgradeTrigger odd = ((Push.Upgrade) configuration(data.replace("123dagdah", "a b/\u00e9"))).trigger();
        assertThat(odd.version()).matches("id-[0-9a-f]{32}");
        assertThat(odd.tags()).containsEntry("configId", "a b/\u00e9");
    }

    @Test
    void noPlatformsModuleIsTheOneOfConfigurations() {
        Push.Skipped skipped = skipped(data(BODY + ",'module':'" + AliyunDevice.CONFIG_MODULE + "'"));

        assertThat(skipped.cause().reason()).isEqualTo(Reason.MALFORMED_TRIGGER);
        assertThat(skipped.module())
                .as("no step, which would be one of nobody's")
                .isNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "'configId':'1','configSize':65537,'url':'https://h/c'",
                "'configId':'1','configSize':'much','url':'https://h/c'",
                "'configId':'1','url':'https://h/c'",
                "'configSize':1,'url':'https://h/c'",
                "'configId':'1','configSize':1,'url':'file:///etc/passwd'",
                "'configId':'1','configSize':1,'url':'https://h/c','sign':'00','signMethod':'Md5'",
                "'configId':'1','configSize':1,'url':'https://h/c','getType':'text'"
            })
    void aConfigurationThatMakesNoSenseIsSkippedWithoutAModule(String data) {
        assertThat(configuration(data))
                .isInstanceOfSatisfying(
                        Push.Skipped.class,
                        skipped -> assertThat(skipped.module()).isNull());
    }

    @Test
    void noConfigurationIsNoNews() {
        assertThat(configuration("")).isInstanceOf(Push.Nothing.class);
        assertThat(PushReader.readConfiguration(DEVICE, JsonNodeFactory.instance.missingNode()))
                .isInstanceOf(Push.Nothing.class);
    }

    private static Push configuration(String data) {
        try {
            return PushReader.readConfiguration(
                    DEVICE, Messages.read(("{" + data + "}").replace('\'', '"').getBytes(UTF_8)));
        } catch (MalformedMessage e) {
            throw new AssertionError(e);
        }
    }

    // ---- What is well-formed and not done here ----

    @ParameterizedTest
    @ValueSource(strings = {"coap", "", "1"})
    void aDownloadOverSomethingUnknownIsUnsupportedForItsModule(String protocol) {
        Push.Skipped skipped = skipped(data("'size':4252,'version':'1.1','sign':'" + MD5
                + "','signMethod':'Md5','streamId':12332,'streamFileId':1,'dProtocol':'" + protocol + "'"));

        assertThat(skipped.cause().reason()).isEqualTo(Reason.UNSUPPORTED);
        assertThat(skipped.module()).isEqualTo("default");
    }

    // ---- What makes no sense ----

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "\0",
                "null",
                "[]",
                "7",
                "'text'",
                "{",
                "{'data'}",
                "{'data':{'version':'1.1'}}trailing",
                "{'data':{}} {'data':{}}",
                "\uFEFF",
                "{'data':{'size':1},'data':{'size':2}}"
            })
    void whatIsNotOneJsonObjectNamesNoModule(String payload) {
        Push.Skipped skipped = skipped(payload);

        assertThat(skipped.cause().reason()).isEqualTo(Reason.MALFORMED_TRIGGER);
        assertThat(skipped.module()).isNull();
    }

    @ParameterizedTest
    @ValueSource(strings = {"{}", "{'data':null}", "{'data':[]}", "{'data':'text'}", "{'data':7}", "{'Data':{}}"})
    void whatHasNoDataNamesNoModule(String payload) {
        assertThat(skipped(payload).module()).isNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "'../etc'",
                "'a/b'",
                "'-x'",
                "'.x'",
                "'a b'",
                "'a\\u0000'",
                "'+'",
                "7",
                "{}",
                "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
            })
    void aModuleThatIsNoNameIsNoModule(String module) {
        Push.Skipped skipped = skipped(data(BODY + ",'module':" + module));

        assertThat(skipped.cause().reason()).isEqualTo(Reason.MALFORMED_TRIGGER);
        assertThat(skipped.module()).isNull();
    }

    @ParameterizedTest(name = "{0} -> {1}")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "'version':'1.1'|",
                "'version':'1.1'|'Version':'1.1'",
                "'version':'1.1'|'version':1.1",
                "'version':'1.1'|'version':null",
                "'version':'1.1'|'version':''",
                "'version':'1.1'|'version':'1/1'",
                "'version':'1.1'|'version':'a b'",
                "'size':4252|'siz':4252",
                "'size':4252|'size':-1",
                "'size':4252|'size':1.5",
                "'size':4252|'size':1e3",
                "'size':4252|'size':'4 252'",
                "'size':4252|'size':'0x10'",
                "'size':4252|'size':''",
                "'size':4252|'size':true",
                "'size':4252|'size':[1]",
                "'size':4252|'size':12345678901234567890",
                "'url':|'urk':",
                "https://|ftp://",
                "https://|file:///",
                "https://ota.example.com|https:",
                "https://|",
                "ota.example.com|ota example.com",
                "?auth_key|?auth key",
                "00112233|0011223",
                "00112233|000112233",
                "00112233|0011223g",
                "'sign':|'sign':7,'s':",
                "'Md5'|'Md4'",
                "'Md5'|'SHA256'",
                "'Md5'|7",
                "'signMethod'|'signmethod'"
            })
    void oneWrongFieldMakesItMalformedForItsModule(String right, String wrong) {
        String text = BODY.replace(right, wrong == null ? "" : wrong).replace(",,", ",");
        Push.Skipped skipped = skipped(data(text + ",'module':'app'"));

        assertThat(skipped.cause().reason()).isEqualTo(Reason.MALFORMED_TRIGGER);
        assertThat(skipped.module()).isEqualTo("app");
        assertThat(skipped.cause().getMessage()).contains("pk/dev").doesNotContain("CANARY");
    }

    @Test
    void twoDifferentMd5DigestsAreMalformed() {
        assertThat(skipped(data(BODY + ",'md5':'" + MD5.replace('0', '1') + "'"))
                        .cause())
                .hasMessageContaining("two different MD5 digests");
    }

    @ParameterizedTest
    @ValueSource(strings = {"[]", "{}", "null", "7", "[7]", "[{}]", "[null]"})
    void filesThatAreNoFilesAreMalformed(String files) {
        assertThat(skipped(data("'version':'1','signMethod':'Md5','files':" + files))
                        .cause()
                        .reason())
                .isEqualTo(Reason.MALFORMED_TRIGGER);
    }

    @Test
    void moreThanTwentyFilesAreMalformed() {
        String files = (file("a", 1) + ",").repeat(20);

        assertThat(upgrade(data("'version':'1','signMethod':'Md5','files':[" + files.substring(0, files.length() - 1)
                                + "]"))
                        .artifacts())
                .hasSize(20);
        assertThat(skipped(data("'version':'1','signMethod':'Md5','files':[" + files + file("a", 1) + "]"))
                        .cause())
                .hasMessageContaining("files");
    }

    @Test
    void deepNestingIsRefusedWithoutRunningOutOfStack() {
        assertThat(skipped("{'data':" + "[".repeat(100_000) + "]".repeat(100_000) + "}")
                        .module())
                .isNull();
    }

    @Test
    void aMegabyteIsNotRead() {
        assertThat(skipped(data(BODY + ",'x':'" + "y".repeat(1 << 20) + "'")).cause())
                .hasMessageContaining("bytes");
    }

    @Test
    void aNumberOfAThousandDigitsIsRefused() {
        assertThat(skipped(data(BODY + ",'x':" + "9".repeat(1000))).module()).isNull();
    }

    @Test
    void whateverOneByteIsChangedTheResultIsATriggerOrASkip() {
        byte[] good = data(BODY + ",'module':'app','extData':{'a':'b'}")
                .replace('\'', '"')
                .getBytes(UTF_8);
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int round = 0; round < 20_000; round++) {
            byte[] bad = good.clone();
            bad[random.nextInt(bad.length)] = (byte) random.nextInt(256);

            Push push = PushReader.read(DEVICE, bad);

            assertThat(push).as("seed %d", seed).isInstanceOfAny(Push.Upgrade.class, Push.Skipped.class);
            if (push instanceof Push.Skipped skipped) {
                assertThat(skipped.cause().getMessage()).as("seed %d", seed).doesNotContain("auth_key");
            }
        }
    }

    // ---- Answers ----

    @Test
    void anAnswerWithoutContentSaysThatNothingIsPending() {
        JsonNodeFactory json = JsonNodeFactory.instance;

        assertThat(PushReader.readAnswer(DEVICE, json.objectNode(), "app")).isEqualTo(new Push.Nothing());
        assertThat(PushReader.readAnswer(DEVICE, json.nullNode(), "app")).isEqualTo(new Push.Nothing());
        assertThat(PushReader.readAnswer(DEVICE, json.missingNode(), "app")).isEqualTo(new Push.Nothing());
        assertThat(PushReader.readAnswer(DEVICE, json.objectNode().put("module", "app"), "app"))
                .isEqualTo(new Push.Nothing());
    }

    @Test
    void anAnswerThatNamesNoModuleIsAboutTheOneThatWasAskedFor() throws MalformedMessage {
        Push push = PushReader.readAnswer(
                DEVICE,
                Messages.read(data(BODY).replace('\'', '"').getBytes(UTF_8)).path("data"),
                "app");

        assertThat(push)
                .isInstanceOfSatisfying(
                        Push.Upgrade.class,
                        upgrade -> assertThat(upgrade.trigger().module()).isEqualTo("app"));
    }

    private static String data(String fields) {
        return "{'code':'1000','data':{" + fields + "},'id':1695281536874,'message':'success'}";
    }

    private static String file(String name, int size) {
        return "{'fileSize':" + size + ",'fileName':'" + name + "','fileUrl':'" + URL + "','fileMd5':'" + MD5
                + "','fileSign':'" + MD5 + "'}";
    }

    private static UpgradeTrigger upgrade(String json) {
        Push push = read(json);
        assertThat(push).isInstanceOf(Push.Upgrade.class);
        return ((Push.Upgrade) push).trigger();
    }

    private static Push.Skipped skipped(String json) {
        Push push = read(json);
        assertThat(push).isInstanceOf(Push.Skipped.class);
        return (Push.Skipped) push;
    }

    private static Push read(String json) {
        return PushReader.read(DEVICE, json.replace('\'', '"').getBytes(UTF_8));
    }
}
