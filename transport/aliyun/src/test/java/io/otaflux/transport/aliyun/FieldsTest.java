package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is read without a tree is what a tree would say. */
class FieldsTest {

    private static final List<String> NAMES = List.of(
            "size", "sign", "version", "isDiff", "url", "signMethod", "md5", "module", "extData", "files", "absent");

    private static final String PUSH = "{'code':'1000','data':{'size':432945,'sign':'AB','version':'2.0.0','isDiff':0,"
            + "'url':'https://h/f?a=%3D','signMethod':'Md5','md5':'ä\\u00e4','module':'m','extData':{'a':'b','c':7,"
            + "'d':{'e':[1]}},'files':[{'fileName':'f','x':{'y':1}}],'big':123456789012345,'no':null,'yes':true,"
            + "'half':0.5},'id':1,'message':{'a':1}}";

    @Test
    void everyValueIsThatOfTheTree() throws MalformedMessage {
        assertSame(PUSH);
    }

    @Test
    void whateverOneByteIsChangedBothReadTheSameOrNeitherDoes() {
        Random random = new Random(11);
        byte[] push = PUSH.replace('\'', '"').getBytes(UTF_8);
        for (int i = 0; i < push.length; i++) {
            byte[] bad = push.clone();
            bad[i] = (byte) "\"{}[]:,0n\0\\ab".charAt(random.nextInt(13));

            Fields tree = read(() -> tree(bad));
            Fields flat = read(() -> Messages.readData(bad, bad.length));

            assertThat(flat == null).as(new String(bad, UTF_8)).isEqualTo(tree == null);
            if (flat != null && tree != null) {
                assertSame(flat, tree, NAMES);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'data':{},'data':{}}",
                "{'id':1,'data':{},'id':2}",
                "{'data':{'a':'1','a':'1'}}",
                "{'data':{'extData':{'a':'1','a':'2'}}}",
                "{'data':{'extData':{'b':{'a':'1','a':'2'}}}}",
                "{'data':{'files':[{'a':'1','a':'2'}]}}",
                "{'message':{'a':1,'a':2},'data':{}}",
                "{'data':{}}{}",
                "{'data':{}} x",
                "{'data':{}",
                "{'data':[]}",
                "[]"
            })
    void twoReadingsOfOneMessageAreNone(String json) {
        byte[] payload = json.replace('\'', '"').getBytes(UTF_8);

        assertThat(read(() -> tree(payload))).isNull();
        assertThatThrownBy(() -> Messages.readData(payload, payload.length)).isInstanceOf(MalformedMessage.class);
    }

    @Test
    void manyFieldsAreFoundAndTwoOfOneNameAmongThemToo() throws MalformedMessage {
        List<String> names = IntStream.range(0, 10_000).mapToObj(i -> "n" + i).toList();
        String many =
                names.stream().map(name -> "'" + name + "':'" + name + "'").collect(Collectors.joining(","));
        byte[] payload = ("{'data':{" + many + "}}").replace('\'', '"').getBytes(UTF_8);
        byte[] twice = ("{'data':{" + many + ",'n40':1}}").replace('\'', '"').getBytes(UTF_8);

        assertSame(
                Messages.readData(payload, payload.length), tree(payload), List.of("n0", "n31", "n32", "n9999", "n"));
        assertThatThrownBy(() -> Messages.readData(twice, twice.length)).isInstanceOf(MalformedMessage.class);
    }

    private static void assertSame(String json) throws MalformedMessage {
        byte[] payload = json.replace('\'', '"').getBytes(UTF_8);
        assertSame(Messages.readData(payload, payload.length), tree(payload), NAMES);
    }

    private static void assertSame(Fields flat, Fields tree, List<String> names) {
        for (String name : names) {
            assertThat(flat.has(name)).as(name).isEqualTo(tree.has(name));
            assertThat(flat.text(name)).as(name).isEqualTo(tree.text(name));
            assertThat(flat.texts(name)).as(name).isEqualTo(tree.texts(name));
            if (!tree.path(name).isObject()) {
                assertThat(flat.path(name)).as(name).isEqualTo(tree.path(name));
            } else {
                assertThat(flat.path(name).isObject()).as(name).isTrue();
            }
        }
    }

    private static Fields tree(byte[] payload) throws MalformedMessage {
        var data = Messages.read(payload).path("data");
        if (!data.isObject()) {
            throw new MalformedMessage("no object");
        }
        return Fields.of(data);
    }

    private interface Reading {
        Fields fields() throws MalformedMessage;
    }

    private static Fields read(Reading reading) {
        try {
            return reading.fields();
        } catch (MalformedMessage e) {
            return null;
        }
    }
}
