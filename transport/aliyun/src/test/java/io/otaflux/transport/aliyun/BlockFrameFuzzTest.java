package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.Corpus;
import io.otaflux.testkit.Mutant;
import java.util.Arrays;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/**
 * Whatever the reply to a request for a block is: it is a block whose data is what was checked and no more than what came,
 * or it is damaged and has none, or it makes no sense; and nothing that it says is quoted.
 */
class BlockFrameFuzzTest {

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    @Test
    void theCorpusNoticesAReaderThatTakesDataUnchecked() {
        Mutant.assertCaught(
                "the check of the data",
                () -> Corpus.Inputs.of(BlockFrameFuzzTest.class).forEach(input -> check(input, frame -> true)));
    }

    public static void fuzzerTestOneInput(byte[] input) {
        check(input, BlockFrame::isIntact);
    }

    private static void check(byte[] input, Predicate<BlockFrame> isIntact) {
        byte[] before = input.clone();
        try {
            BlockFrame frame = BlockFrame.read(input);
            assertThat(frame.size()).isBetween(0, Math.max(0, input.length - 4));
            assertThat(frame.offset()).isNotNegative();
            assertThat(frame.fileLength()).isNotNegative();
            if (!frame.code().equals(BlockFrame.OK)) {
                assertThat(frame.size()).isZero();
            } else if (isIntact.test(frame)) {
                int end = input.length - 2;
                byte[] data = Arrays.copyOfRange(input, 2 + ((input[0] & 0xFF) << 8) + (input[1] & 0xFF), end);
                int crc = StreamPlatform.crc(data);
                assertThat(frame.size()).isEqualTo(data.length);
                assertThat(input[end]).isEqualTo((byte) crc);
                assertThat(input[end + 1]).isEqualTo((byte) (crc >> 8));
            } else {
                assertThat(frame.size()).isZero();
            }
        } catch (MalformedMessage e) {
            assertThat(e.why()).hasSizeLessThan(200).matches("[\\x20-\\x7e…]*");
        }
        assertThat(input).isEqualTo(before);
    }
}
