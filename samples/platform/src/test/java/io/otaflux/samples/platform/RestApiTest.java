package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RestApiTest {

    private static final int MAX_PACKAGE = 1 << 20;
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private static Path data;
    private static Platform platform;

    private record Answer(int status, JsonNode body) {}

    @BeforeAll
    static void start(@TempDir Path directory) throws Exception {
        data = directory.resolve("data");
        platform = Platform.builder()
                .dataDirectory(data)
                .maxPackageBytes(MAX_PACKAGE)
                .start();
    }

    @AfterAll
    static void stop() {
        platform.close();
    }

    @Test
    void aWholeUpgradeCanBeRunFromTheApi() throws Exception {
        assertThat(post("/products", "{\"productKey\":\"whole\"}").status()).isEqualTo(201);
        Answer created = post("/products/whole/devices", "{\"deviceName\":\"dn\"}");
        assertThat(created.status()).isEqualTo(201);
        DeviceCredentials login = new DeviceCredentials(
                "whole", "dn", created.body().get("deviceSecret").textValue());
        Answer uploaded = upload("POST", "product=whole&module=app&version=2.0&signMethod=Md5&customInfo=a%20b", "new");
        assertThat(uploaded.status()).isEqualTo(201);
        assertThat(uploaded.body().get("md5").textValue()).isEqualTo("22af645d1859cb5ca6da0c484f1f37ea");
        assertThat(uploaded.body().get("sha256").textValue()).hasSize(64);
        assertThat(uploaded.body().get("customInfo").textValue()).isEqualTo("a b");
        assertThat(uploaded.body().get("size").intValue()).isEqualTo(3);
        String packageId = uploaded.body().get("id").textValue();
        assertThat(get("/packages/" + packageId)).isEqualTo(new Answer(200, uploaded.body()));
        assertThat(get("/packages").body()).contains(uploaded.body());

        try (DeviceClient device = DeviceClient.connect(platform.mqttPort(), login)) {
            device.subscribe().inform("app", "1.0");
            await().until(() -> get("/products/whole/devices/dn")
                    .body()
                    .at("/versions/app")
                    .asText()
                    .equals("1.0"));
            assertThat(get("/products/whole/devices").body()).hasSize(1);
            assertThat(get("/products/whole/devices/dn").body().get("online").booleanValue())
                    .isTrue();
            assertThat(get("/products/whole/devices/dn").body().has("deviceSecret"))
                    .isFalse();

            Answer job = post(
                    "/jobs",
                    "{\"packageId\":\"" + packageId + "\",\"devices\":[\"dn\"],\"srcVersions\":[\"1.0\"],"
                            + "\"timeoutInMinutes\":10,\"needPush\":true,\"overwriteMode\":1,\"multiModule\":false,"
                            + "\"tags\":{\"ring\":\"1\"}}");
            assertThat(job.status()).isEqualTo(201);
            assertThat(job.body().get("status").textValue()).isEqualTo("IN_PROGRESS");
            assertThat(job.body().get("timeoutInMinutes").intValue()).isEqualTo(10);
            String jobPath = "/jobs/" + job.body().get("id").textValue();
            assertThat(device.nextPush().at("/data/extData/ring").textValue()).isEqualTo("1");

            HttpResponse<java.io.InputStream> events =
                    HTTP.send(request(jobPath + "/events").build(), HttpResponse.BodyHandlers.ofInputStream());
            assertThat(events.headers().firstValue("Content-Type").orElseThrow())
                    .startsWith("text/event-stream");
            List<String> seen = new ArrayList<>();
            try (BufferedReader lines =
                    new BufferedReader(new InputStreamReader(events.body(), StandardCharsets.UTF_8))) {
                readUntil(lines, seen, "NOTIFIED");
                device.progress("app", 40, "");
                readUntil(lines, seen, "IN_PROGRESS");
                device.inform("app", "2.0");
                readUntil(lines, seen, "SUCCEEDED");
                readUntil(lines, seen, "COMPLETED");
                assertThat(lines.readLine()).isEmpty();
                assertThat(lines.readLine()).as("the stream ends with the job").isNull();
            }
            assertThat(seen).contains("event: task", "event: end");

            assertThat(get(jobPath).body().at("/tasks/SUCCEEDED").intValue()).isEqualTo(1);
            JsonNode task = get(jobPath + "/tasks").body().get(0);
            assertThat(task.get("status").textValue()).isEqualTo("SUCCEEDED");
            assertThat(task.get("step").intValue()).isEqualTo(40);
            assertThat(get("/jobs").body()).isNotEmpty();
            assertThat(post(jobPath + "/cancel", "").status()).isEqualTo(409);
        }
    }

    @Test
    void aJobIsCancelled() throws Exception {
        platform.createProduct("cancel");
        DeviceCredentials login = platform.createDevice("cancel", "dn");
        upload("PUT", "product=cancel&version=2", "x");
        try (DeviceClient device = DeviceClient.connect(platform.mqttPort(), login)) {
            device.inform("default", "1");
            await().until(() -> !platform.device("cancel", "dn").versions().isEmpty());
        }
        String packageId = packageOf("cancel");
        JsonNode job = post("/jobs", "{\"packageId\":\"" + packageId + "\",\"devices\":\"ALL\"}")
                .body();

        Answer cancelled = post("/jobs/" + job.get("id").textValue() + "/cancel", "");

        assertThat(cancelled.status()).isEqualTo(200);
        assertThat(cancelled.body().get("status").textValue()).isEqualTo("CANCELED");
        assertThat(cancelled.body().at("/tasks/CANCELED").intValue()).isEqualTo(1);
    }

    @Test
    void severalFilesAreUploadedOneByOneAndThenMadeAPackage() throws Exception {
        platform.createProduct("several");
        JsonNode one = send("POST", "/files", "one").body();
        JsonNode two = send("PUT", "/files", "two").body();
        assertThat(one.get("size").intValue()).isEqualTo(3);
        String files = "\"files\":[{\"name\":\"1.bin\",\"sha256\":" + one.get("sha256")
                + "},{\"name\":\"2.bin\",\"sha256\":" + two.get("sha256") + "}]";

        Answer added = json(
                "/packages",
                "{\"product\":\"several\",\"module\":\"app\",\"version\":\"2\",\"name\":\"Two files\",\"type\":\"DELTA\","
                        + "\"srcVersion\":\"1\",\"signMethod\":\"Md5\",\"customInfo\":\"a\",\"needToVerify\":true,"
                        + "\"digestSign\":true," + files + "}");

        assertThat(added.status()).as("%s", added).isEqualTo(201);
        JsonNode firmware = added.body();
        assertThat(firmware.get("size").intValue()).isEqualTo(6);
        assertThat(firmware.has("md5")).isFalse();
        assertThat(firmware.get("type").textValue()).isEqualTo("DELTA");
        assertThat(firmware.get("srcVersion").textValue()).isEqualTo("1");
        assertThat(firmware.get("verifyStatus").intValue()).isZero();
        assertThat(firmware.get("files").findValuesAsText("name")).containsExactly("1.bin", "2.bin");
        assertThat(firmware.get("files").findValuesAsText("digestsign")).hasSize(2);
        assertThat(get("/packages/" + firmware.get("id").textValue()).body()).isEqualTo(firmware);
        Answer unknown = json(
                "/packages",
                "{\"product\":\"several\",\"version\":\"3\",\"files\":[{\"name\":\"a.bin\",\"sha256\":\""
                        + "0".repeat(64) + "\"}]}");
        assertThat(unknown.status()).isEqualTo(409);
        assertThat(unknown.body().get("message").textValue()).contains("within the last 60 minutes");
    }

    @Test
    void aJobIsShownWithAllThatWasAskedFor() throws Exception {
        platform.createProduct("options");
        upload("POST", "product=options&version=2&fileName=a.bin", "x");
        long start = System.currentTimeMillis() + 3_600_000;
        String request = "{\"packageId\":\"" + packageOf("options")
                + "\",\"jobType\":\"UPGRADE_FIRMWARE\",\"selectionType\":\"STATIC\",\"targetSelection\":\"GRAY\","
                + "\"grayPercent\":12.5,\"scheduleTime\":" + start + ",\"scheduleFinishTime\":\""
                + Instant.ofEpochMilli(start + 7_200_000)
                + "\",\"maximumPerMinute\":100,\"timeoutInMinutes\":60,\"retryInterval\":30,\"retryCount\":5,"
                + "\"needPush\":false,\"needConfirm\":true,\"overwriteMode\":2,\"downloadProtocol\":\"MQTT\"}";

        Answer job = post("/jobs", request);

        assertThat(job.status()).as("%s", job).isEqualTo(201);
        for (Map.Entry<String, JsonNode> asked : JSON.readTree(request).properties()) {
            JsonNode shown = job.body().get(asked.getKey());
            if (asked.getKey().equals("scheduleTime")) {
                assertThat(Instant.parse(shown.textValue()).toEpochMilli()).isEqualTo(start);
            } else {
                assertThat(shown).as(asked.getKey()).isEqualTo(asked.getValue());
            }
        }
        assertThat(job.body().get("status").textValue()).isEqualTo("PLANNED");
        assertThat(job.body().get("productKey").textValue()).isEqualTo("options");
        Answer cancelled = post("/jobs/" + job.body().get("id").textValue() + "/cancel", "");
        assertThat(cancelled.body().get("status").textValue()).isEqualTo("CANCELED");
    }

    @Test
    void aDynamicJobIsStopped() throws Exception {
        platform.createProduct("dynamic");
        upload("POST", "product=dynamic&version=2", "x");
        Answer job = post(
                "/jobs",
                "{\"packageId\":\"" + packageOf("dynamic") + "\",\"selectionType\":\"DYNAMIC\",\"dynamicMode\":2}");
        assertThat(job.body().get("stopped").booleanValue()).isFalse();
        String path = "/jobs/" + job.body().get("id").textValue();

        Answer stopped = post(path + "/stop", "");

        assertThat(stopped.body().get("stopped").booleanValue()).isTrue();
        assertThat(stopped.body().get("status").textValue()).isEqualTo("COMPLETED");
        assertThat(post(path + "/stop", "").status()).isEqualTo(409);
    }

    @Test
    void tasksAreConfirmedCancelledAndDoneOnceMore() throws Exception {
        platform.createProduct("tasks");
        DeviceCredentials login = platform.createDevice("tasks", "dn");
        upload("POST", "product=tasks&version=2", "x");
        try (DeviceClient device = DeviceClient.connect(platform.mqttPort(), login)) {
            device.inform("default", "1");
            await().until(() -> !platform.device("tasks", "dn").versions().isEmpty());
        }
        await().until(() -> !platform.device("tasks", "dn").online());
        String job = post("/jobs", "{\"packageId\":\"" + packageOf("tasks") + "\",\"needConfirm\":true}")
                .body()
                .get("id")
                .textValue();
        String id = get("/jobs/" + job + "/tasks?status=CONFIRM&offset=0&limit=10")
                .body()
                .get(0)
                .get("id")
                .textValue();
        assertThat(get("/jobs/" + job + "/tasks?status=QUEUED").body()).isEmpty();
        assertThat(get("/jobs/" + job + "/tasks?offset=1").body()).isEmpty();
        assertThat(get("/jobs/" + job + "/tasks?limit=0").body()).isEmpty();

        assertThat(statusAfter("confirm", id)).isEqualTo("QUEUED");
        assertThat(statusAfter("cancel", id)).isEqualTo("CANCELED");
        assertThat(statusAfter("retry", id)).isEqualTo("QUEUED");
        Answer flagged = post("/jobs/" + job + "/cancel", "{\"cancelNotifiedTask\":true}");
        assertThat(flagged.body().at("/tasks/QUEUED").intValue()).isEqualTo(1);
        assertThat(post("/jobs/" + job + "/cancel", "{}").status()).isEqualTo(400);
        Answer ofDevice = post("/products/tasks/devices/dn/tasks/cancel?job=" + job, "");
        assertThat(ofDevice.body().findValuesAsText("id")).containsExactly(id);

        JsonNode task = get("/tasks/" + id).body();
        assertThat(task.get("history").findValuesAsText("status"))
                .containsExactly("CONFIRM", "QUEUED", "CANCELED", "QUEUED", "CANCELED");
        assertThat(get("/products/tasks/devices/dn/tasks").body()).containsExactly(task);
    }

    @Test
    void modulesAndGroupsAreKept() throws Exception {
        platform.createProduct("parts");
        platform.createDevice("parts", "dn");

        assertThat(json("/products/parts/modules", "{\"name\":\"mcu\",\"alias\":\"controller\"}")
                        .status())
                .isEqualTo(201);
        assertThat(send("PUT", "/products/parts/modules/mcu", "{\"description\":\"below\"}")
                        .body()
                        .get("alias")
                        .textValue())
                .isEqualTo("controller");
        assertThat(get("/products/parts/modules").body().findValuesAsText("name"))
                .containsExactly("default", "mcu");
        Answer group = send("PUT", "/products/parts/groups/ring", "{\"devices\":[\"dn\"]}");
        assertThat(group.status()).isEqualTo(200);
        assertThat(get("/products/parts/groups/ring").body()).isEqualTo(group.body());
        assertThat(get("/products/parts/groups").body()).containsExactly(group.body());
    }

    @Test
    void theStreamOfEverythingHasWhatApplicationsAreTold() throws Exception {
        platform.createProduct("told");
        DeviceCredentials login = platform.createDevice("told", "dn");
        HttpResponse<java.io.InputStream> events =
                HTTP.send(request("/events").build(), HttpResponse.BodyHandlers.ofInputStream());
        List<String> seen = new ArrayList<>();
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(events.body(), StandardCharsets.UTF_8));
                DeviceClient device = DeviceClient.connect(platform.mqttPort(), login)) {
            device.subscribe();
            upload("POST", "product=told&module=app&version=2", "x");
            device.inform("app", "1");
            await().until(() -> !platform.device("told", "dn").versions().isEmpty());
            platform.createJob(JobRequest.of(packageOf("told")));
            device.nextPush();
            device.progress("app", 10, "ten").progress("app", -2, "no route");
            readUntil(lines, seen, "COMPLETED");
        }
        assertThat(seen)
                .contains("event: package", "event: job", "event: task")
                .anyMatch(
                        line -> line.contains("\"moduleName\":\"app\",\"moduleVersion\":\"1\",\"messageCreateTime\":"))
                .anyMatch(
                        line -> line.contains(
                                "\"moduleName\":\"app\",\"srcVersion\":\"1\",\"destVersion\":\"2\",\"step\":\"10\",\"desc\":\"ten\""))
                .anyMatch(line -> line.contains("\"status\":\"FAILED\",\"desc\":\"no route\""))
                .contains("event: ota/version/post", "event: ota/progress/post", "event: ota/upgrade");
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = ';',
            value = {
                "bad type; POST; /jobs; {\"packageId\":\"p1\",\"jobType\":\"BOTH\"}; 400",
                "bad selection; POST; /jobs; {\"packageId\":\"p1\",\"selectionType\":\"SOME\"}; 400",
                "selection that does not fit; POST; /jobs; {\"packageId\":\"p1\",\"targetSelection\":\"GRAY\"}; 400",
                "static with a dynamic mode; POST; /jobs; {\"packageId\":\"p1\",\"selectionType\":\"STATIC\",\"dynamicMode\":1}; 400",
                "bad time; POST; /jobs; {\"packageId\":\"p1\",\"scheduleTime\":\"tomorrow\"}; 400",
                "no rate; POST; /jobs; {\"packageId\":\"p1\",\"maximumPerMinute\":0}; 400",
                "bad protocol; POST; /jobs; {\"packageId\":\"p1\",\"downloadProtocol\":\"FTP\"}; 400",
                "bad flag; POST; /packages?product=errors&version=1&needToVerify=maybe; x; 400",
                "bad type; POST; /packages?product=errors&version=1&type=HALF; x; 400",
                "delta without a source; POST; /packages?product=errors&version=1&type=DELTA; x; 400",
                "delta to itself; POST; /packages?product=errors&version=1&srcVersion=1; x; 400",
                "bad file name; POST; /packages?product=errors&version=1&fileName=a.exe; x; 400",
                "empty file; POST; /files; ''; 400",
                "bad status; GET; /jobs/j1/tasks?status=LOST; ''; 400",
                "bad offset; GET; /jobs/j1/tasks?offset=-1; ''; 400",
                "no such task; GET; /tasks/t999; ''; 404",
                "no tasks; POST; /tasks/confirm; {}; 400",
                "no such task; POST; /tasks/retry; {\"taskIds\":[\"t999\"]}; 404",
                "no such task; POST; /tasks/cancel; {\"taskIds\":[\"t999\"]}; 404",
                "no such job; POST; /jobs/j999/stop; ''; 404",
                "no such device; GET; /products/errors/devices/nobody/tasks; ''; 404",
                "no such device; POST; /products/errors/devices/nobody/tasks/cancel; ''; 404",
                "no name; POST; /products/errors/modules; {}; 400",
                "default is there; POST; /products/errors/modules; {\"name\":\"default\"}; 409",
                "no such module; PUT; /products/errors/modules/none; {}; 404",
                "no devices; PUT; /products/errors/groups/g; {}; 400",
                "no such device; PUT; /products/errors/groups/g; {\"devices\":[\"nobody\"]}; 404",
                "no such group; GET; /products/errors/groups/none; ''; 404",
                "no body; POST; /products; ''; 400",
                "not JSON; POST; /products; {; 400",
                "not an object; POST; /products; []; 400",
                "null; POST; /products; null; 400",
                "two documents; POST; /products; {\"productKey\":\"a\"}{}; 400",
                "unknown field; POST; /products; {\"productKey\":\"a\",\"x\":1}; 400",
                "wrong type; POST; /products; {\"productKey\":{}}; 400",
                "missing field; POST; /products; {}; 400",
                "bad name; POST; /products; {\"productKey\":\"a/b\"}; 400",
                "exists already; POST; /products; {\"productKey\":\"errors\"}; 409",
                "no such product; POST; /products/nobody/devices; {\"deviceName\":\"a\"}; 404",
                "no such product; GET; /products/nobody/devices; ''; 404",
                "no such device; GET; /products/errors/devices/nobody; ''; 404",
                "bad device name; POST; /products/errors/devices; {\"deviceName\":\"a b\"}; 400",
                "no version; POST; /packages?product=errors; x; 400",
                "no product; POST; /packages?version=1; x; 400",
                "no such product; POST; /packages?product=nobody&version=1; x; 404",
                "bad version; POST; /packages?product=errors&version=a%20b; x; 400",
                "bad module; POST; /packages?product=errors&version=1&module=a%2Fb; x; 400",
                "bad method; POST; /packages?product=errors&version=1&signMethod=Sha1; x; 400",
                "empty file; POST; /packages?product=errors&version=1; ''; 400",
                "no such package; GET; /packages/p999; ''; 404",
                "no such package; POST; /jobs; {\"packageId\":\"p999\"}; 404",
                "no package; POST; /jobs; {}; 400",
                "bad devices; POST; /jobs; {\"packageId\":\"p1\",\"devices\":\"SOME\"}; 400",
                "bad device in list; POST; /jobs; {\"packageId\":\"p1\",\"devices\":[1]}; 400",
                "bad mode; POST; /jobs; {\"packageId\":\"p1\",\"overwriteMode\":3}; 400",
                "bad timeout; POST; /jobs; {\"packageId\":\"p1\",\"timeoutInMinutes\":\"soon\"}; 400",
                "no such job; GET; /jobs/j999; ''; 404",
                "no such job; GET; /jobs/j999/tasks; ''; 404",
                "no such job; GET; /jobs/j999/events; ''; 404",
                "no such job; POST; /jobs/j999/cancel; ''; 404",
                "no such path; GET; /nothing; ''; 404",
                "no such method; DELETE; /products; ''; 405"
            })
    void whatIsWrongIsRefusedWithACodeAndWords(String why, String method, String path, String body, int status)
            throws Exception {
        if (!exists("errors")) {
            platform.createProduct("errors");
        }
        Answer answer = send(method, path, body);

        assertThat(answer.status()).as(why).isEqualTo(status);
        assertThat(answer.body().get("code").textValue()).as(why).isNotEmpty();
        assertThat(answer.body().get("message").textValue()).as(why).isNotEmpty();
    }

    @Test
    void valuesThatNobodyCanHaveMeantAreRefused() throws Exception {
        platform.createProduct("odd");
        upload("PUT", "product=odd&version=1", "one").status();
        String job = "{\"packageId\":\"" + packageOf("odd") + "\",";

        for (String body : List.of(
                "\"tags\":{\"a\":null}}",
                "\"grayPercent\":1e999999999}",
                "\"grayPercent\":1e-999999999}",
                "\"srcVersions\":[null]}")) {
            assertThat(send("POST", "/jobs", job + body).status()).as(body).isEqualTo(400);
        }
    }

    @Test
    void aPackageIsDeletedUnlessAJobBringsIt() throws Exception {
        platform.createProduct("deleting");
        upload("PUT", "product=deleting&version=1", "one").status();
        String used = packageOf("deleting");
        post("/jobs", "{\"packageId\":\"" + used + "\"}");
        String unused = upload("PUT", "product=deleting&version=2", "two")
                .body()
                .get("id")
                .textValue();

        assertThat(send("DELETE", "/packages/" + used, "").status()).isEqualTo(409);
        Answer deleted = send("DELETE", "/packages/" + unused, "");

        assertThat(deleted.status()).isEqualTo(200);
        assertThat(deleted.body().get("version").textValue()).isEqualTo("2");
        assertThat(get("/packages/" + unused).status()).isEqualTo(404);
        assertThat(send("DELETE", "/packages/" + unused, "").status()).isEqualTo(404);
        assertThat(get("/packages/" + used).status()).isEqualTo(200);
        assertThat(upload("PUT", "product=deleting&version=2", "two")
                        .body()
                        .get("id")
                        .textValue())
                .isNotEqualTo(unused);
    }

    @Test
    void anUploadThatIsTooLargeIsRefusedAndLeavesNothing() throws Exception {
        platform.createProduct("large");

        Answer answer = upload("POST", "product=large&version=1", "x".repeat(MAX_PACKAGE + 1));

        assertThat(answer.status()).isEqualTo(413);
        try (var left = Files.list(data.resolve("uploads"))) {
            assertThat(left).isEmpty();
        }
        assertThat(upload("POST", "product=large&version=1", "x".repeat(MAX_PACKAGE))
                        .status())
                .isEqualTo(201);
        assertThat(upload("POST", "product=large&version=1", "y").status()).isEqualTo(409);
    }

    @Test
    void gatewaysAndTheirSubDevicesAreArrangedFromTheApi() throws Exception {
        Answer product = post("/products", "{\"productKey\":\"arranged\"}");
        assertThat(product.body().get("productSecret").textValue()).isNotEmpty();
        String devices = "/products/arranged/devices";
        post(devices, "{\"deviceName\":\"gw\"}");
        post(devices, "{\"deviceName\":\"sub\"}");
        String below = devices + "/gw/topology/arranged/sub";

        assertThat(post(below + "/invite", "").status()).isEqualTo(200);
        Answer linked = send("PUT", below, "");
        assertThat(linked.status()).isEqualTo(200);
        assertThat(linked.body().at("/gateway/deviceName").textValue()).isEqualTo("gw");
        assertThat(get(devices + "/gw/topology").body()).containsExactly(linked.body());
        assertThat(send("PUT", devices + "/gw/topology/arranged/gw", "").status())
                .as("its own sub-device")
                .isEqualTo(409);
        assertThat(send("PUT", devices + "/gw/topology/arranged/nobody", "").status())
                .isEqualTo(404);
        assertThat(post(devices + "/sub/disable", "").body().get("disabled").booleanValue())
                .isTrue();
        assertThat(post(devices + "/sub/enable", "").body().get("disabled").booleanValue())
                .isFalse();
        assertThat(send("DELETE", below, "").body().has("gateway")).isFalse();
        assertThat(send("DELETE", below, "").status()).isEqualTo(404);
        assertThat(send("DELETE", devices + "/sub", "").status()).isEqualTo(200);
        assertThat(get(devices + "/sub").status()).isEqualTo(404);
    }

    @Test
    void registrationCertificatesAndConfigurationAreSetFromTheApi() throws Exception {
        String first = post("/products", "{\"productKey\":\"settings\"}")
                .body()
                .get("productSecret")
                .textValue();
        assertThat(send("PUT", "/products/settings", "{\"dynamicRegistration\":true}")
                        .body()
                        .get("dynamicRegistration")
                        .booleanValue())
                .isTrue();
        assertThat(send("PUT", "/products/settings", "{}").status()).isEqualTo(400);
        assertThat(get("/products/settings").body().has("productSecret"))
                .as("told once")
                .isFalse();
        assertThat(post("/products/settings/secret", "")
                        .body()
                        .get("productSecret")
                        .textValue())
                .isNotEqualTo(first);
        String device = "/products/settings/devices/dn";
        post("/products/settings/devices", "{\"deviceName\":\"dn\"}");
        String colons = String.join(":", java.util.Collections.nCopies(32, "AB"));
        assertThat(send("PUT", device + "/certificate", "{\"sha256\":\"" + colons + "\"}")
                        .status())
                .isEqualTo(200);
        assertThat(send("PUT", device + "/certificate", "{\"sha256\":\"AB\"}").status())
                .isEqualTo(400);
        assertThat(send("DELETE", device + "/certificate", "").status()).isEqualTo(200);
        assertThat(post(device + "/reset", "").status()).isEqualTo(200);

        assertThat(get("/products/settings/config").status()).isEqualTo(404);
        Answer config = send("PUT", "/products/settings/config", "{}");
        assertThat(config.body().get("size").intValue()).isEqualTo(2);
        assertThat(get("/products/settings/config")).isEqualTo(config);
        assertThat(send("PUT", "/products/settings/config", "x".repeat((64 << 10) + 1))
                        .status())
                .isEqualTo(413);
        assertThat(send("PUT", "/products/settings/config", "").status()).isEqualTo(400);
        assertThat(send("DELETE", "/products/settings/config", "").status()).isEqualTo(200);
        assertThat(get("/products/settings/config").status()).isEqualTo(404);
    }

    @Test
    void aBodyThatIsTooLargeIsRefused() throws Exception {
        assertThat(post("/products", "{\"productKey\":\"" + "x".repeat(2 << 20) + "\"}")
                        .status())
                .isEqualTo(413);
    }

    @Test
    void withoutTheTokenOnlyHealthAndTheDescriptionAreThere() throws Exception {
        for (String authorization : new String[] {null, "", "Bearer ", "Bearer guess", platform.token()}) {
            assertThat(status("/products", authorization)).isEqualTo(401);
            assertThat(status("/events", authorization)).isEqualTo(401);
            assertThat(status("/health", authorization)).isEqualTo(200);
            assertThat(status("/openapi.json", authorization)).isEqualTo(200);
        }
        assertThat(Files.readString(data.resolve("token")).strip()).isEqualTo(platform.token());
        for (String secret : new String[] {"token", "url-key", "state.log"}) {
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(data.resolve(secret))))
                    .as(secret)
                    .isEqualTo("rw-------");
        }
    }

    @Test
    void theDescriptionHasEveryRouteAndNoOther() throws Exception {
        JsonNode paths = get("/openapi.json").body().get("paths");
        TreeSet<String> described = new TreeSet<>();
        for (Map.Entry<String, JsonNode> path : paths.properties()) {
            for (Map.Entry<String, JsonNode> operation : path.getValue().properties()) {
                described.add(
                        operation.getKey().toUpperCase(Locale.ROOT) + " " + path.getKey() + open(operation.getValue()));
            }
        }
        TreeSet<String> routed = new TreeSet<>();
        RestApi api = new RestApi(null, null, Access.of("token", "127.0.0.1", null));
        api.routes()
                .forEach(route -> routed.add(route.method() + " " + route.template() + (route.open() ? " open" : "")));

        assertThat(described).isEqualTo(routed);
    }

    @Test
    void theDescriptionsReferencesLeadSomewhere() throws Exception {
        JsonNode description = get("/openapi.json").body();
        for (JsonNode reference : description.findValues("$ref")) {
            assertThat(description.at(reference.textValue().substring(1)).isMissingNode())
                    .as(reference.textValue())
                    .isFalse();
        }
    }

    private static String open(JsonNode operation) {
        return operation.has("security") && operation.get("security").isEmpty() ? " open" : "";
    }

    private static void readUntil(BufferedReader lines, List<String> seen, String word) throws Exception {
        String line;
        do {
            line = lines.readLine();
            assertThat(line).as("a line with " + word + " after " + seen).isNotNull();
            seen.add(line);
        } while (!line.contains("\"" + word + "\""));
    }

    private static boolean exists(String productKey) throws Exception {
        return get("/products").body().findValuesAsText("productKey").contains(productKey);
    }

    private static String packageOf(String productKey) throws Exception {
        for (JsonNode it : get("/packages").body()) {
            if (it.get("productKey").textValue().equals(productKey)) {
                return it.get("id").textValue();
            }
        }
        throw new AssertionError("no package of " + productKey);
    }

    private static Answer get(String path) throws Exception {
        return send("GET", path, "");
    }

    private static Answer post(String path, String body) throws Exception {
        return send("POST", path, body);
    }

    private static Answer json(String path, String body) throws Exception {
        HttpResponse<String> response = HTTP.send(
                request(path)
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body))
                        .build(),
                HttpResponse.BodyHandlers.ofString());
        return new Answer(response.statusCode(), JSON.readTree(response.body()));
    }

    private static String statusAfter(String what, String task) throws Exception {
        Answer answer = post("/tasks/" + what, "{\"taskIds\":[\"" + task + "\"]}");
        assertThat(answer.status()).as("%s", answer).isEqualTo(200);
        return answer.body().get(0).get("status").textValue();
    }

    private static Answer upload(String method, String query, String content) throws Exception {
        return send(method, "/packages?" + query, content);
    }

    private static Answer send(String method, String path, String body) throws Exception {
        HttpResponse<String> response = HTTP.send(
                request(path)
                        .method(method, HttpRequest.BodyPublishers.ofString(body))
                        .build(),
                HttpResponse.BodyHandlers.ofString());
        assertThat(response.headers().firstValue("Content-Type")).contains("application/json");
        return new Answer(response.statusCode(), JSON.readTree(response.body()));
    }

    private static int status(String path, @Nullable String authorization) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(platform.httpUri() + "/api/v1" + path));
        if (authorization != null) {
            request.header("Authorization", authorization);
        }
        return HTTP.send(request.build(), HttpResponse.BodyHandlers.discarding())
                .statusCode();
    }

    private static HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(platform.httpUri() + "/api/v1" + path))
                .header("Authorization", "Bearer " + platform.token());
    }
}
