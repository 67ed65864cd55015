package io.otaflux.transport.aliyun;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.Unpooled;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BlockFrameTest {

    private static final byte[] DATA = "123456789".getBytes(UTF_8);
    private static final String HEADER =
            "{\"id\":\"1\",\"code\":200,\"data\":{\"bSize\":9,\"bOffset\":0,\"fileLength\":9}}";

    @ParameterizedTest
    @CsvSource({"313233343536373839, BB3D", "'', 0", "00, 0", "01, C0C1", "68656c6c6f20776f726c64, 39C1"})
    void checksAsTheVendorsCSdkDoes(String data, String expected) {
        byte[] bytes = HexFormat.of().parseHex(data);

        assertThat(BlockFrame.crc(Unpooled.wrappedBuffer(bytes))).isEqualTo(Integer.parseInt(expected, 16));
        assertThat(StreamPlatform.crc(bytes)).isEqualTo(Integer.parseInt(expected, 16));
    }

    @Test
    void readsTheWholeFrame() throws Exception {
        byte[] frame = HexFormat.of()
                .parseHex(
                        "00437b226964223a2231222c22636f6465223a3230302c2264617461223a7b226253697a65223a392c22624f666673"
                                + "6574223a302c2266696c654c656e677468223a397d7d3132333435363738393dbb");

        BlockFrame read = BlockFrame.read(frame);

        assertThat(read.id()).isEqualTo("1");
        assertThat(read.code()).isEqualTo("200");
        assertThat(read.offset()).isZero();
        assertThat(read.fileLength()).isEqualTo(9);
        assertThat(read.isIntact()).isTrue();
        assertThat(read.data().toString(UTF_8)).isEqualTo("123456789");
        assertThat(StreamPlatform.frame(HEADER, DATA, 0xBB3D)).isEqualTo(frame);
    }

    @Test
    void readsTheHeaderThatWasSeenOnTheWire() throws Exception {
        byte[] data = new byte[256];
        new Random().nextBytes(data);
        String header = "{\"code\":200,\"data\":{\"bOffset\":0,\"fileLength\":5092,\"bSize\":256},\"id\":\"1\","
                + "\"message\":\"success\"}";

        BlockFrame read = BlockFrame.read(StreamPlatform.frame(header, data, StreamPlatform.crc(data)));

        assertThat(read.isIntact()).isTrue();
        assertThat(read.fileLength()).isEqualTo(5092);
        assertThat(read.size()).isEqualTo(256);
    }

    @Test
    void readsNumbersThatAreTextsAndNumbersThatAreIds() throws Exception {
        BlockFrame read = BlockFrame.read(StreamPlatform.frame(
                "{\"id\":7,\"code\":\"200\",\"data\":{\"bSize\":\"9\",\"bOffset\":\"3\",\"fileLength\":\"12\"}}",
                DATA,
                0xBB3D));

        assertThat(read.id()).isEqualTo("7");
        assertThat(read.offset()).isEqualTo(3);
        assertThat(read.isIntact()).isTrue();
    }

    @Test
    void aCheckInTheOtherByteOrderIsWrong() throws Exception {
        assertThat(BlockFrame.read(StreamPlatform.frame(HEADER, DATA, 0x3DBB)).isIntact())
                .isFalse();
    }

    @Test
    void anyFlippedBitOfTheDataIsNoticed() throws Exception {
        byte[] frame = StreamPlatform.frame(HEADER, DATA, 0xBB3D);
        for (int bit = 8 * (2 + HEADER.length()); bit < 8 * frame.length; bit++) {
            byte[] damaged = frame.clone();
            damaged[bit / 8] ^= (byte) (1 << bit % 8);

            BlockFrame read = BlockFrame.read(damaged);

            assertThat(read.isIntact()).as("bit %d", bit).isFalse();
            assertThat(read.size()).isZero();
        }
    }

    @Test
    void aFrameThatIsTooLongOrTooShortIsDamaged() throws Exception {
        byte[] frame = StreamPlatform.frame(HEADER, DATA, 0xBB3D);
        for (int length = 2 + HEADER.length(); length < frame.length + 3; length++) {
            assertThat(BlockFrame.read(Arrays.copyOf(frame, length)).isIntact())
                    .as("%d bytes", length)
                    .isEqualTo(length == frame.length);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2, 11})
    void anErrorIsReadWhateverIsBehindIt(int more) throws Exception {
        byte[] error = StreamPlatform.error("5", 404);

        BlockFrame read = BlockFrame.read(Arrays.copyOf(error, error.length + more));

        assertThat(read.code()).isEqualTo("404");
        assertThat(read.id()).isEqualTo("5");
        assertThat(read.size()).isZero();
        assertThat(read.toString()).doesNotContain("CANARY");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "00",
                "0005",
                "00057b7d",
                "0000",
                "00025b5d",
                "00027b7d00",
            })
    void whatHasNoHeaderMakesNoSense(String frame) throws Exception {
        byte[] bytes = HexFormat.of().parseHex(frame);
        if (frame.startsWith("00027b7d")) {
            // An object, but without a code: an error like any other that is not 200.
            assertThat(BlockFrame.read(bytes).code()).isEmpty();
        } else {
            assertThatThrownBy(() -> BlockFrame.read(bytes)).isInstanceOf(MalformedMessage.class);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"bSize", "bOffset", "fileLength"})
    void aHeaderWithoutOneOfItsNumbersMakesNoSense(String field) {
        assertThatThrownBy(() -> BlockFrame.read(StreamPlatform.frame(HEADER.replace(field, "other"), DATA, 0xBB3D)))
                .isInstanceOf(MalformedMessage.class)
                .hasMessageStartingWith(field + ": missing");
        assertThatThrownBy(() -> BlockFrame.read(StreamPlatform.frame(
                        HEADER.replaceAll("\"" + field + "\":[0-9]", "\"" + field + "\":-1"), DATA, 0xBB3D)))
                .isInstanceOf(MalformedMessage.class);
    }
}
