package io.otaflux.transport.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.netty.handler.codec.http.DefaultHttpHeadersFactory;
import io.netty.handler.codec.http.HttpHeaders;
import io.otaflux.Artifact;
import io.otaflux.ArtifactSource.Request;
import io.otaflux.LengthMismatchException;
import io.otaflux.OtaException;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import io.otaflux.TransferException;
import io.otaflux.testkit.Mutant;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

class VerdictTest {

    private static final long SIZE = 1_000;
    private static final long OFFSET = 400;
    private static final String ETAG = "\"v1\"";
    private static final String WHERE = "https://example.org/a";

    /** Every way in which the range of an answer can be another than the rest of 1000 bytes from byte 400 on. */
    private static final List<String> LIES = List.of(
            "",
            "bytes",
            "bytes ",
            "bytes 400-999",
            "bytes 400-999/",
            "bytes 400-999/*",
            "bytes */1000",
            "bytes */*",
            "bytes 400-/1000",
            "bytes -999/1000",
            "bytes 0-999/1000",
            "bytes 0-599/1000",
            "bytes 399-999/1000",
            "bytes 401-999/1000",
            "bytes 400-998/1000",
            "bytes 400-400/1000",
            "bytes 400-1000/1000",
            "bytes 400-399/1000",
            "bytes 999-400/1000",
            "bytes 400 - 999 / 1000",
            "bytes  400-999/1000",
            "bytes=400-999/1000",
            "bytes 400-999/1000, bytes 0-1/1000",
            "bytes 400-999,0-1/1000",
            "bytes 0x190-999/1000",
            "bytes +400-999/1000",
            "bytes 400-999/1000 ",
            "bytes 400-999/-1000",
            "bytes 4e2-999/1000",
            "bytes 400.0-999/1000",
            "bytes ٤٠٠-999/1000",
            "bytes 18446744073709552016-999/1000",
            "bytes 400-9223372036854775807/9223372036854775808",
            "items 400-999/1000",
            "seconds 400-999/1000",
            "400-999/1000",
            "garbage",
            // What is written otherwise than the grammar has it
            "bytes\t400-999/1000",
            "bytes 400-999/1000;q=1",
            "\"bytes 400-999/1000\"",
            "bytes 400--999/1000",
            "bytes 400-999//1000",
            "bytes 400-999/1000/1000",
            "bytes:400-999/1000",
            "bytes 4 00-999/1000",
            "bytes 400-999/1,000",
            "bytes 400-999/1000\u0000",
            "bytes 400-9223372036854775807/9223372036854775807",
            "bytes -1-999/1000",
            "bytes 1000-999/1000",
            "bytes 1000-1000/1000");

    @Test
    void theRestThatWasAskedForIsBelieved() {
        assertThat(judge(OFFSET, ETAG, 206, "Content-Range: bytes 400-999/1000", "Content-Length: 600"))
                .isEqualTo(new Verdict.Data(OFFSET, SIZE, ETAG));
        assertThat(judge(OFFSET, null, 206, "Content-Range: BYTES 400-999/1000", "ETag: \"v1\""))
                .isEqualTo(new Verdict.Data(OFFSET, SIZE, ETAG));
    }

    @ParameterizedTest
    @FieldSource("LIES")
    void aRangeThatIsNotExactlyTheRestIsRefused(String range) {
        refuses(Verdict::of, range);
    }

    @Test
    void whoBelievesAnyRangeIsCaught() {
        Judge gullible = (request, offset, status, headers, where) -> {
            long total = request.artifact().size();
            return Verdict.of(
                    request,
                    offset,
                    status,
                    headers.set("Content-Range", "bytes " + offset + "-" + (total - 1) + "/" + total),
                    where);
        };
        Mutant.assertCaught("Content-Range believed as it is", () -> LIES.forEach(range -> refuses(gullible, range)));
        Judge careless = (request, offset, status, headers, where) -> {
            Matcher numbers = Pattern.compile("([0-9]+)-([0-9]+)/([0-9]+)").matcher(headers.get("Content-Range"));
            return numbers.find() && Long.parseLong(numbers.group(1)) == offset
                    ? new Verdict.Data(offset, Long.parseLong(numbers.group(3)), null)
                    : Verdict.of(request, offset, status, headers, where);
        };
        Mutant.assertCaught("the end of Content-Range", () -> LIES.forEach(range -> refuses(careless, range)));
    }

    /** {@link Verdict#of}, or what stands in its place. */
    private interface Judge {

        Verdict judge(Request request, long offset, int status, HttpHeaders headers, String where);
    }

    private static void refuses(Judge judge, String range) {
        Throwable thrown = catchThrowable(
                () -> judge.judge(request(SIZE, OFFSET, ETAG), OFFSET, 206, headers("Content-Range: " + range), WHERE));
        assertThat(thrown).as(range).isInstanceOf(OtaException.class);
        assertBad(206, (OtaException) thrown);
    }

    @Test
    void aPartWithoutContentRangeIsRefused() {
        assertBad(206, refusal(OFFSET, ETAG, 206, "Content-Length: 600"));
    }

    @Test
    void aPartWithTwoContentRangesIsRefused() {
        assertBad(
                206,
                refusal(OFFSET, ETAG, 206, "Content-Range: bytes 400-999/1000", "Content-Range: bytes 400-999/1000"));
    }

    @Test
    void aPartInSeveralRangesIsRefused() {
        assertBad(
                206,
                refusal(
                        OFFSET,
                        ETAG,
                        206,
                        "Content-Range: bytes 400-999/1000",
                        "Content-Type: Multipart/ByteRanges; boundary=x"));
    }

    @Test
    void aPartWhoseLengthIsNotThatOfItsRangeIsRefused() {
        assertBad(206, refusal(OFFSET, ETAG, 206, "Content-Range: bytes 400-999/1000", "Content-Length: 599"));
    }

    @Test
    void aPartThatNobodyAskedForIsRefused() {
        assertBad(206, refusal(0, null, 206, "Content-Range: bytes 0-999/1000"));
    }

    @ParameterizedTest
    @CsvSource({"1001, ENDLESS_DATA", "999, TRUNCATED"})
    void aRestOfAnotherWholeIsAnotherLength(long total, Reason reason) {
        OtaException refusal = refusal(OFFSET, ETAG, 206, "Content-Range: bytes 400-" + (total - 1) + "/" + total);
        assertThat(refusal).isInstanceOf(LengthMismatchException.class);
        assertThat(refusal.reason()).isEqualTo(reason);
    }

    @Test
    void aPartOfAnotherContentThanTheOneHereStartsOver() {
        String range = "Content-Range: bytes 400-999/1000";
        assertThat(judge(OFFSET, ETAG, 206, range, "ETag: \"v2\"")).isEqualTo(new Verdict.StartOver());
        assertThat(judge(OFFSET, ETAG, 206, range, "ETag: W/\"v1\"")).isEqualTo(new Verdict.StartOver());
        assertThat(judge(
                        OFFSET,
                        "Mon, 02 Mar 2026 10:00:00 GMT",
                        206,
                        range,
                        "Last-Modified: Mon, 02 Mar 2026 10:00:01 GMT"))
                .isEqualTo(new Verdict.StartOver());
    }

    @Test
    void aWholeInAnswerToARangeStartsOverWithItsBytes() {
        assertThat(judge(OFFSET, ETAG, 200, "Content-Length: 1000", "ETag: \"v2\""))
                .isEqualTo(new Verdict.Data(0, SIZE, "\"v2\""));
    }

    @Test
    void aWholeWithoutALengthHasTheDeclaredOne() {
        assertThat(judge(0, null, 200, "Transfer-Encoding: chunked")).isEqualTo(new Verdict.Data(0, SIZE, null));
    }

    @Test
    void anUnsatisfiableRangeStartsOver() {
        assertThat(judge(OFFSET, ETAG, 416, "Content-Range: bytes */1000")).isEqualTo(new Verdict.StartOver());
        assertThat(judge(OFFSET, ETAG, 416)).isEqualTo(new Verdict.StartOver());
        assertBad(416, refusal(0, null, 416));
    }

    @Test
    void anUnsatisfiableRangeAtTheEndOfTheWholeIsTheEnd() {
        assertThat(judge(SIZE, SIZE, ETAG, 416, "Content-Range: bytes */1000")).isEqualTo(new Verdict.Complete());
        assertThat(judge(Artifact.UNKNOWN_SIZE, SIZE, ETAG, 416, "Content-Range: bytes */1000"))
                .isEqualTo(new Verdict.Complete());
        assertThat(judge(Artifact.UNKNOWN_SIZE, SIZE, null, 416, "Content-Range: Bytes */1000", "ETag: \"v1\""))
                .isEqualTo(new Verdict.Complete());
        assertThat(judge(Artifact.UNKNOWN_SIZE, SIZE, ETAG, 416, "Content-Range: bytes */1000", "ETag: \"v2\""))
                .as("of another content")
                .isEqualTo(new Verdict.StartOver());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "bytes */999",
                "bytes */1001",
                "bytes */*",
                "bytes */",
                "bytes 0-999/1000",
                "bytes * /1000",
                "bytes */1000 ",
                "items */1000",
                "*/1000",
                "bytes */9999999999999999999",
                ""
            })
    void anUnsatisfiableRangeOfAnyOtherWholeStartsOver(String range) {
        assertThat(judge(Artifact.UNKNOWN_SIZE, SIZE, ETAG, 416, "Content-Range: " + range))
                .isEqualTo(new Verdict.StartOver());
        assertThat(judge(
                        Artifact.UNKNOWN_SIZE,
                        SIZE,
                        ETAG,
                        416,
                        "Content-Range: bytes */1000",
                        "Content-Range: bytes */1000"))
                .isEqualTo(new Verdict.StartOver());
    }

    @ParameterizedTest
    @ValueSource(strings = {"gzip", "br", "deflate", "identity, gzip", "x-unknown"})
    void encodedContentIsRefused(String coding) {
        assertBad(200, refusal(0, null, 200, "Content-Length: 1000", "Content-Encoding: " + coding));
        assertBad(206, refusal(OFFSET, ETAG, 206, "Content-Range: bytes 400-999/1000", "Content-Encoding: " + coding));
    }

    @ParameterizedTest
    @ValueSource(strings = {"gzip, chunked", "gzip", "chunked, chunked", "x-unknown", "identity"})
    void anUnknownTransferEncodingIsRefused(String coding) {
        assertBad(200, refusal(0, null, 200, "Transfer-Encoding: " + coding));
    }

    @Test
    void identityIsNoEncoding() {
        assertThat(judge(0, null, 200, "Content-Length: 1000", "Content-Encoding: identity"))
                .isEqualTo(new Verdict.Data(0, SIZE, null));
    }

    @ParameterizedTest
    @ValueSource(ints = {301, 302, 303, 307, 308})
    void redirectsLeadSomewhere(int status) {
        assertThat(judge(0, null, status, "Location: /there")).isEqualTo(new Verdict.Redirect("/there"));
        assertThat(judge(0, null, status)).isEqualTo(new Verdict.Redirect(null));
        assertThat(judge(0, null, status, "Location: /a", "Location: /b")).isEqualTo(new Verdict.Redirect(null));
    }

    @ParameterizedTest
    @CsvSource({
        "401, FORBIDDEN",
        "403, FORBIDDEN",
        "407, FORBIDDEN",
        "404, NOT_FOUND",
        "410, NOT_FOUND",
        "400, BAD_RESPONSE",
        "402, BAD_RESPONSE",
        "405, BAD_RESPONSE",
        "412, BAD_RESPONSE",
        "451, BAD_RESPONSE",
        "501, BAD_RESPONSE",
        "505, BAD_RESPONSE",
        "520, BAD_RESPONSE",
        "599, BAD_RESPONSE",
        "101, BAD_RESPONSE",
        "201, BAD_RESPONSE",
        "203, BAD_RESPONSE",
        "204, BAD_RESPONSE",
        "205, BAD_RESPONSE",
        "207, BAD_RESPONSE",
        "300, BAD_RESPONSE",
        "304, BAD_RESPONSE",
        "305, BAD_RESPONSE",
        "999, BAD_RESPONSE"
    })
    void otherStatusesArePermanentErrors(int status, Reason reason) {
        OtaException refusal = refusal(0, null, status, "Content-Length: 1000");

        assertThat(refusal).isInstanceOf(SourceException.class);
        assertThat(refusal.reason()).isEqualTo(reason);
        assertThat(((SourceException) refusal).status()).hasValue(status);
        assertThat(refusal.isTransient()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(ints = {408, 425, 429, 500, 502, 503, 504})
    void aBusyServerMayBeAskedAgain(int status) {
        OtaException refusal = refusal(0, null, status, "Retry-After: 120");

        assertThat(refusal.isTransient()).isTrue();
        assertThat(refusal.reason()).isEqualTo(Reason.SERVER_BUSY);
        assertThat(((TransferException) refusal).retryAfter()).contains(Duration.ofSeconds(120));
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0",
        "7, 7",
        "'Mon, 02 Mar 2026 10:01:30 GMT', 90",
        "'Monday, 02-Mar-26 10:01:30 GMT', 90",
        "'Mon Mar  2 10:01:30 2026', 90",
        "'Mon, 02 Mar 2026 09:00:00 GMT', 0",
        "'', ",
        "-1, ",
        "1.5, ",
        "soon, ",
        "99999999999999999999, "
    })
    void retryAfterIsSecondsOrADateByTheServersClock(String value, @Nullable Integer seconds) {
        HttpHeaders headers = headers("Date: Mon, 02 Mar 2026 10:00:00 GMT", "Retry-After: " + value);
        assertThat(Verdict.retryAfter(headers)).isEqualTo(seconds == null ? null : Duration.ofSeconds(seconds));
    }

    @Test
    void retryAfterWithoutTheServersTimeCountsFromOurs() {
        assertThat(Verdict.retryAfter(headers("Retry-After: Fri, 01 Jan 2100 00:00:00 GMT")))
                .isGreaterThan(Duration.ofDays(1));
        assertThat(Verdict.retryAfter(headers())).isNull();
    }

    private static Verdict judge(long offset, @Nullable String validator, int status, String... headers) {
        return judge(SIZE, offset, validator, status, headers);
    }

    private static Verdict judge(long size, long offset, @Nullable String validator, int status, String... headers) {
        return Verdict.of(request(size, offset, validator), offset, status, headers(headers), WHERE);
    }

    private static Request request(long size, long offset, @Nullable String validator) {
        return new Request(new Artifact("artifact.bin", URI.create(WHERE), size, List.of()), offset, validator);
    }

    private static OtaException refusal(long offset, @Nullable String validator, int status, String... headers) {
        Throwable thrown = catchThrowable(() -> judge(offset, validator, status, headers));
        assertThat(thrown).isInstanceOf(OtaException.class);
        return (OtaException) thrown;
    }

    private static void assertBad(int status, OtaException refusal) {
        assertThat(refusal.reason()).isEqualTo(Reason.BAD_RESPONSE);
        assertThat(((SourceException) refusal).status()).hasValue(status);
        assertThat(refusal).hasMessageContaining("https://example.org/a");
    }

    static HttpHeaders headers(String... lines) {
        HttpHeaders headers =
                DefaultHttpHeadersFactory.headersFactory().withValidation(false).newHeaders();
        for (String line : lines) {
            int colon = line.indexOf(": ");
            headers.add(line.substring(0, colon), line.substring(colon + 2));
        }
        return headers;
    }
}
