package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.test.scheduler.VirtualTimeScheduler;

class FileServerTest {

    private static final int SIZE = 100_000;
    private static final byte[] CONTENT = new byte[SIZE];

    private static VirtualTimeScheduler time;
    private static Platform platform;
    private static DeviceClient device;
    private static FirmwarePackage firmware;
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    @BeforeAll
    static void start(@TempDir Path directory) throws Exception {
        new Random(1).nextBytes(CONTENT);
        time = VirtualTimeScheduler.create();
        platform = Platform.builder()
                .dataDirectory(directory.resolve("data"))
                .time(time)
                .start();
        platform.createProduct("pk");
        firmware = platform.addPackage(
                "pk", "default", "2", Files.write(directory.resolve("f"), CONTENT), SignMethod.SHA256);
        device = DeviceClient.connect(platform.mqttPort(), platform.createDevice("pk", "dn"))
                .subscribe()
                .inform("default", "1");
        org.awaitility.Awaitility.await()
                .until(() -> !platform.device("pk", "dn").versions().isEmpty());
        platform.createJob(JobRequest.of(firmware.id()));
        device.nextPush();
    }

    @AfterAll
    static void stop() {
        device.close();
        platform.close();
    }

    private static URI url() {
        return URI.create(device.query("{\"id\":1}").at("/data/url").textValue());
    }

    @Test
    void theWholeFileHasALengthAValidatorAndAnOfferOfRanges() throws Exception {
        HttpResponse<byte[]> response = get(url(), null, null);

        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(response.body()).isEqualTo(CONTENT);
        assertThat(response.headers().firstValue("Content-Length")).contains("" + SIZE);
        assertThat(response.headers().firstValue("ETag")).contains("\"" + firmware.sha256() + "\"");
        assertThat(response.headers().firstValue("Last-Modified")).isPresent();
        assertThat(response.headers().firstValue("Accept-Ranges")).contains("bytes");
        assertThat(response.headers().firstValue("Transfer-Encoding")).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "bytes=0-; 0; 99999",
                "bytes=0-0; 0; 0",
                "bytes=1-9; 1; 9",
                "bytes=50000-; 50000; 99999",
                "bytes=99999-; 99999; 99999",
                "bytes=99999-99999; 99999; 99999",
                "bytes=0-99999; 0; 99999",
                "bytes=99990-200000; 99990; 99999",
                "bytes=99990-99999999999999999999999; 99990; 99999",
                "bytes=-1; 99999; 99999",
                "bytes=-100000; 0; 99999",
                "bytes=-999999; 0; 99999",
                "Bytes=5-6; 5; 6",
                "bytes= 5-6 ; 5; 6",
                "bytes=5-6,10-20; 5; 6",
                "bytes=200000-,10-20; 10; 20"
            })
    void aRangeThatThereIsIsAnsweredWithExactlyThatPart(String range, int first, int last) throws Exception {
        HttpResponse<byte[]> response = get(url(), range, null);

        assertThat(response.statusCode()).isEqualTo(206);
        assertThat(response.headers().firstValue("Content-Range")).contains("bytes " + first + "-" + last + "/" + SIZE);
        assertThat(response.headers().firstValue("Content-Length")).contains("" + (last - first + 1));
        assertThat(response.headers().firstValue("Transfer-Encoding")).isEmpty();
        assertThat(response.body()).isEqualTo(Arrays.copyOfRange(CONTENT, first, last + 1));
    }

    @ParameterizedTest
    @ValueSource(strings = {"bytes=100000-", "bytes=100000-100001", "bytes=-0", "bytes=99999999999999999999-"})
    void aRangeBeyondTheEndIsRefusedWithTheLength(String range) throws Exception {
        HttpResponse<byte[]> response = get(url(), range, null);

        assertThat(response.statusCode()).isEqualTo(416);
        assertThat(response.headers().firstValue("Content-Range")).contains("bytes */" + SIZE);
        assertThat(new String(response.body())).contains("InvalidRange");
    }

    @ParameterizedTest
    @ValueSource(strings = {"bytes=", "bytes=-", "bytes=9-1", "bytes=a-b", "items=0-1", "0-1", "bytes=0-1,x"})
    void whatIsNotARangeOfBytesIsIgnored(String range) throws Exception {
        HttpResponse<byte[]> response = get(url(), range, null);

        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(response.body()).hasSize(SIZE);
    }

    @Test
    void aConditionalRangeIsAPartOnlyOfTheSameFile() throws Exception {
        URI url = url();
        HttpResponse<byte[]> whole = get(url, null, null);
        String etag = whole.headers().firstValue("ETag").orElseThrow();
        String modified = whole.headers().firstValue("Last-Modified").orElseThrow();

        assertThat(get(url, "bytes=5-", etag).statusCode()).isEqualTo(206);
        assertThat(get(url, "bytes=5-", modified).statusCode()).isEqualTo(206);
        for (String other : new String[] {"\"other\"", "W/" + etag, "Thu, 01 Jan 1970 00:00:00 GMT"}) {
            HttpResponse<byte[]> response = get(url, "bytes=5-", other);
            assertThat(response.statusCode()).as(other).isEqualTo(200);
            assertThat(response.body()).as(other).hasSize(SIZE);
        }
    }

    @Test
    void headTellsTheLengthAndSendsNothing() throws Exception {
        HttpResponse<byte[]> response = HTTP.send(
                HttpRequest.newBuilder(url())
                        .method("HEAD", HttpRequest.BodyPublishers.noBody())
                        .build(),
                HttpResponse.BodyHandlers.ofByteArray());

        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(response.headers().firstValue("Content-Length")).contains("" + SIZE);
        assertThat(response.headers().firstValue("ETag")).isPresent();
        assertThat(response.body()).isEmpty();
    }

    @Test
    void filesCanOnlyBeRead() throws Exception {
        HttpResponse<byte[]> response =
                HTTP.send(HttpRequest.newBuilder(url()).DELETE().build(), HttpResponse.BodyHandlers.ofByteArray());

        assertThat(response.statusCode()).isEqualTo(405);
        assertThat(response.headers().firstValue("Allow")).contains("GET, HEAD");
    }

    @Test
    void anAlteredUrlIsRefusedAsTheObjectStoreDoes() throws Exception {
        String url = url().toString();
        String signature = url.substring(url.length() - 64);
        for (String altered : new String[] {
            url.replace("expires=", "expires=9"),
            url.substring(0, url.indexOf('?')),
            url.replace(signature, "0".repeat(64)),
            url.replace(signature, ""),
            url.replace(signature, "nothex"),
            url.replace(firmware.sha256(), "0".repeat(64)),
            platform.httpUri() + "/artifacts/../token?" + URI.create(url).getQuery(),
            platform.httpUri() + "/artifacts/"
        }) {
            HttpResponse<byte[]> response = get(URI.create(altered), null, null);
            assertThat(response.statusCode()).as(altered).isEqualTo(403);
            assertThat(response.headers().firstValue("Content-Type")).contains("application/xml");
            assertThat(new String(response.body())).contains("<Code>AccessDenied</Code>");
        }
    }

    @Test
    void aUrlIsGoodForADay() throws Exception {
        URI url = url();
        time.advanceTimeBy(Duration.ofHours(24).minusSeconds(1));
        assertThat(get(url, null, null).statusCode()).isEqualTo(200);

        time.advanceTimeBy(Duration.ofSeconds(2));

        assertThat(get(url, null, null).statusCode()).isEqualTo(403);
        assertThat(get(url(), null, null).statusCode()).isEqualTo(200);
    }

    private static HttpResponse<byte[]> get(URI url, @Nullable String range, @Nullable String ifRange)
            throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(url);
        if (range != null) {
            request.header("Range", range);
        }
        if (ifRange != null) {
            request.header("If-Range", ifRange);
        }
        return HTTP.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
    }
}
