package io.otaflux.transport.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseDecoder;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource.Request;
import io.otaflux.Digest;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException;
import io.otaflux.SourceException;
import io.otaflux.TransferException;
import io.otaflux.testkit.Corpus;
import java.net.URI;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;

/**
 * Whatever the head of an answer is, it is judged or refused by name, and bytes are taken only for what was asked for. The
 * first byte of an input picks the request (see {@link #fuzzerTestOneInput}), the rest is what the server sends, and goes
 * through the decoder that real answers go through.
 */
class VerdictFuzzTest {

    private static final long SIZE = 5000;

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    /** Bits of the first byte: 1 asks for a rest, 2 leaves the size unknown, 4 goes without a validator. */
    public static void fuzzerTestOneInput(byte[] input) {
        if (input.length == 0) {
            return;
        }
        long offset = (input[0] & 1) == 0 ? 0 : 1000;
        Artifact artifact = new Artifact(
                "a",
                URI.create("https://example.org/a"),
                (input[0] & 2) == 0 ? SIZE : Artifact.UNKNOWN_SIZE,
                List.of(Digest.sha256("0".repeat(64))));
        Request request = new Request(artifact, offset, (input[0] & 4) == 0 ? "\"tag\"" : null);
        EmbeddedChannel decoder = new EmbeddedChannel(new HttpResponseDecoder());
        try {
            decoder.writeInbound(Unpooled.wrappedBuffer(Arrays.copyOfRange(input, 1, input.length)));
            if (decoder.inboundMessages().peek() instanceof HttpResponse response
                    && response.decoderResult().isSuccess()) {
                judge(request, offset, response);
            }
        } finally {
            decoder.finishAndReleaseAll();
        }
    }

    private static void judge(Request request, long offset, HttpResponse response) {
        Verdict verdict;
        try {
            verdict =
                    Verdict.of(request, offset, response.status().code(), response.headers(), "https://example.org/a");
        } catch (SourceException | LengthMismatchException e) {
            assertThat(e).hasMessageNotContaining("\n").hasNoCause();
            return;
        } catch (TransferException e) {
            assertThat(e.retryAfter().orElse(Duration.ZERO)).isBetween(Duration.ZERO, Duration.ofDays(366 * 10_000L));
            return;
        } catch (OtaException e) {
            throw new AssertionError("another failure than those of sources", e);
        }
        if (verdict instanceof Verdict.Data data) {
            long wanted = request.artifact().size();
            assertThat(data.offset()).isEqualTo(response.status().code() == 206 ? offset : 0);
            assertThat(data.size())
                    .satisfiesAnyOf(
                            size -> assertThat(size).isEqualTo(Artifact.UNKNOWN_SIZE),
                            size -> assertThat(size).isGreaterThan(data.offset()),
                            size -> assertThat(size).isZero());
            if (wanted != Artifact.UNKNOWN_SIZE) {
                assertThat(data.size()).isEqualTo(wanted);
            }
            if (data.validator() != null) {
                assertThat(data.validator())
                        .isNotEmpty()
                        .doesNotContain("\r", "\n")
                        .doesNotStartWith("W/");
            }
        }
    }
}
