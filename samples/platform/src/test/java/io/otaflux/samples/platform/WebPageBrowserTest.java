package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.otaflux.testkit.RequiresProgram;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openqa.selenium.Keys;

/** The page as a person uses it, in a browser, with devices that do what devices do. */
@Tag("faults")
@RequiresProgram(value = "chromium", debianPackage = "chromium")
@RequiresProgram(value = "chromedriver", debianPackage = "chromium-driver")
class WebPageBrowserTest {

    private static final String MARKUP = "<img src=x onerror=window.broken=1><script>window.broken=1</script>";
    private static final int PHONE = 360;

    @TempDir
    private static Path directory;

    private static Platform platform;
    private static Browser browser;

    private final List<DeviceClient> devices = new ArrayList<>();
    private boolean complaintsAreExpected;

    @BeforeAll
    static void start() throws Exception {
        platform = Platform.builder().dataDirectory(directory.resolve("data")).start();
        browser = new Browser(directory.resolve("profile"));
    }

    @AfterAll
    static void stop() {
        browser.close();
        platform.close();
    }

    @BeforeEach
    void signIn() {
        browser.open(platform.pageUri());
        browser.sees("#link-text", "Live");
    }

    @AfterEach
    void leave() {
        devices.forEach(DeviceClient::close);
        List<String> complaints = browser.complaints();
        if (!complaintsAreExpected) {
            assertThat(complaints).isEmpty();
        }
        assertThat(browser.requests())
                .filteredOn(uri -> !List.of("about", "blob", "chrome", "data").contains(uri.getScheme()))
                .allMatch(uri ->
                        uri.getPort() == platform.httpPort() && uri.getHost().equals("127.0.0.1"))
                .noneMatch(uri -> String.valueOf(uri.getQuery()).contains(platform.token()));
    }

    @Test
    void theTokenLeavesTheAddressAtOnce() {
        assertThat(browser.address()).isEqualTo(platform.httpUri() + "/#/devices");
        assertThat(String.valueOf(browser.run("return document.documentElement.outerHTML")))
                .doesNotContain(platform.token());
    }

    @Test
    void aWrongTokenIsRefusedAndARightOneIsTaken() {
        complaintsAreExpected = true;
        browser.open(platform.httpUri());
        browser.sees("h1", "Sign in");

        browser.type("Access token", "CANARY-guess");
        browser.click("Sign in");
        browser.sees("[role=alert]", "That is not the token of this platform.");
        assertThat(browser.run("return sessionStorage.length")).isEqualTo(0L);

        browser.type("Access token", platform.token());
        browser.press(Keys.ENTER);
        browser.sees("h1", "Devices");
        browser.click("Sign out");
        browser.sees("h1", "Sign in");
        assertThat(browser.run("return sessionStorage.length")).isEqualTo(0L);
    }

    @Test
    void aPackageIsDroppedAndItsDigestIsShown() {
        platform.createProduct("drop");
        browser.go("#/packages");

        browser.drop(".drop", Map.of("app-2.5.1.bin", "what is new"));
        browser.choose("Product", "drop");
        browser.type("Module", "app");
        assertThat(browser.control("Version").getDomProperty("value")).isEqualTo("2.5.1");
        browser.click("Upload");

        browser.sees("dialog .file-status", "The platform has the same SHA-256.");
        browser.sees("dialog .file-digests", "SHA-256 " + hex("SHA-256", "what is new"));
        browser.sees("dialog .file-digests", "MD5 " + hex("MD5", "what is new"));
        browser.click("Close");
        browser.seesNo("dialog");
        browser.sees("tbody tr", "app 2.5.1");
    }

    @Test
    void aChosenFileThatIsRefusedCanBeUploadedAfterAll() throws Exception {
        platform.createProduct("choose");
        Path file = Files.writeString(directory.resolve("chosen.bin"), "x".repeat(3_000_000));
        platform.addPackage("choose", "default", "1.0", file, SignMethod.SHA256);
        browser.go("#/packages");
        browser.find(".drop");
        browser.chooseFile(file);
        browser.choose("Product", "choose");
        browser.type("Version", "1.0");
        browser.click("Upload");
        complaintsAreExpected = true;
        browser.sees("dialog [role=alert]", "is already version 1.0");

        browser.type("Version", "1.1");
        browser.click("Upload");

        browser.sees("dialog .file-status", "2.9 MiB, uploaded");
        browser.click("Close");
        browser.sees("tbody tr", "default 1.1");
    }

    @Test
    void aGrayJobIsStartedAndWatchedToItsEndAndItsFailureIsTriedAgain() throws Exception {
        for (int i = 1; i <= 4; i++) {
            device("job", "edge-" + i);
        }
        FirmwarePackage firmware = addPackage("job", "2.0.0");
        browser.go("#/packages");
        browser.click("New job with package " + firmware.id());
        browser.tick("Gray");
        browser.type("Share of the devices", "50");
        browser.click("More options");
        browser.type("Tags for devices", "ring=first");
        browser.click("Start job");

        browser.sees("h1", "Job j");
        String job = jobOnThePage();
        List<Task> tasks = platform.tasks(job);
        assertThat(tasks).hasSize(2);
        DeviceClient good = deviceOf(tasks.get(0));
        DeviceClient bad = deviceOf(tasks.get(1));
        String goodRow = row(good.login().deviceName());
        String badRow = row(bad.login().deviceName());
        assertThat(good.nextPush().at("/data/extData/ring").textValue()).isEqualTo("first");
        bad.nextPush();
        browser.sees(".facts", "Gray, 50 %");
        browser.sees(goodRow, "Pushed");
        good.progress("app", 40, "");
        browser.sees(goodRow, "40 %");
        browser.sees(".tally", "1 in progress, 1 pushed");
        bad.progress("app", -3, MARKUP);
        browser.sees(badRow, "verification failed (−3)");
        browser.sees(badRow + " .reason", MARKUP);
        good.progress("app", 100, "").inform("app", "2.0.0");
        browser.sees(goodRow, "Succeeded");
        browser.sees(".facts", "Completed");
        browser.sees(".tally", "1 succeeded, 1 failed");
        browser.says("Job " + job + ": completed. 1 succeeded, 1 failed.");

        browser.choose("State", "Failed");
        assertThat(browser.texts("tbody tr")).hasSize(1);
        browser.click("History of " + bad.login().deviceName());
        browser.sees("dialog .history", MARKUP);
        browser.click("Close");
        assertThat(browser.run("return window.broken ?? document.querySelectorAll('main img, main script').length"))
                .as("markup of a device is text")
                .isEqualTo(0L);

        browser.choose("State", "All");
        browser.click("Retry " + bad.login().deviceName());
        bad.nextPush();
        browser.sees(badRow, "Pushed");
        bad.progress("app", 100, "").inform("app", "2.0.0");
        browser.sees(".tally", "2 succeeded");
        browser.sees(".facts", "Completed");
    }

    @Test
    void tasksWaitUntilTheyAreConfirmed() throws Exception {
        DeviceClient device = device("confirm", "edge-1");
        addPackage("confirm", "2.0.0");
        browser.go("#/jobs");
        browser.click("New job");
        browser.choose("Package", "for confirm");
        browser.tick("Named devices");
        browser.click("Start job");
        browser.sees("dialog [role=alert]", "Choose at least one device.");
        browser.tick("edge-1");
        browser.click("More options");
        browser.tick("Each task waits until it is confirmed here");
        browser.click("Start job");

        browser.sees(row("edge-1"), "To be confirmed");
        browser.click("Confirm all");
        device.nextPush();
        browser.sees(row("edge-1"), "Pushed");
    }

    @Test
    void severalFilesMakeOnePackageWhichCanBeDeleted() {
        platform.createProduct("several");
        browser.go("#/packages");
        browser.drop(".drop", Map.of("boot-3.1.bin", "first", "system.bin", "second"));
        browser.choose("Product", "several");
        browser.type("Module", "image");
        browser.type("Version", "3.1");
        browser.click("More options");
        browser.type("Name", "<b>of two files</b>");
        browser.click("Upload");
        browser.sees("dialog .file-digests", "SHA-256 " + hex("SHA-256", "first"));
        browser.sees("dialog .file-digests", "SHA-256 " + hex("SHA-256", "second"));
        browser.sees("dialog .file-status", "The platform has the same SHA-256.");
        browser.click("Close");
        browser.sees("tbody tr", "<b>of two files</b>");
        browser.sees("tbody tr", "system.bin, 6 bytes");
        String id = String.valueOf(browser.run("return document.querySelector('tbody tr').dataset.key"));

        browser.click("Delete package " + id);
        browser.click("Keep");
        browser.click("Delete package " + id);
        browser.click("Delete");

        browser.says("Package " + id + " is deleted.");
        browser.seesNo("tr[data-key='" + id + "']");
    }

    @Test
    void aJobIsCancelledAfterAQuestion() throws Exception {
        DeviceClient device = device("cancel", "edge-1");
        FirmwarePackage firmware = addPackage("cancel", "2.0.0");
        Job job = platform.createJob(JobRequest.of(firmware.id()));
        device.nextPush();
        browser.go("#/jobs/" + job.id());
        browser.click("Cancel job");
        browser.sees("dialog", "Devices are not told");
        browser.click("Keep");
        assertThat(platform.job(job.id()).status()).isEqualTo(Job.Status.IN_PROGRESS);
        browser.click("Cancel job");
        browser.click("Cancel job");

        browser.sees(".facts", "Cancelled");
        browser.sees(row("edge-1"), "Cancelled");
        assertThat(platform.job(job.id()).status()).isEqualTo(Job.Status.CANCELED);
    }

    @Test
    void everythingCanBeDoneWithTheKeyboardAlone() {
        browser.open(platform.httpUri());
        browser.sees("h1", "Sign in");
        browser.press(platform.token(), Keys.ENTER);
        browser.sees("#link-text", "Live");

        browser.tabTo("New product");
        browser.press(Keys.ENTER);
        browser.sees("dialog", "New product");
        browser.press(Keys.ESCAPE);
        browser.seesNo("dialog");
        assertThat(browser.focused()).isEqualTo("New product");

        browser.press(Keys.ENTER);
        browser.sees("dialog", "New product");
        browser.press("keys", Keys.ENTER);
        browser.sees("dialog", "Product keys is created");
        browser.press(Keys.ESCAPE);
        browser.seesNo("dialog");
        assertThat(browser.focused()).isEqualTo("New product");

        browser.tabTo("New device");
        browser.press(Keys.SPACE);
        browser.sees("dialog", "New device");
        browser.tabTo("Device name");
        browser.press("by-hand", Keys.ENTER);
        browser.sees("dialog", "Device by-hand is created");
        browser.press(Keys.ESCAPE);
        browser.sees("tbody tr", "by-hand");

        browser.tabTo("Skip to the content");
        browser.press(Keys.TAB);
        browser.tabTo("Jobs");
        browser.press(Keys.ENTER);
        browser.sees("h1", "Jobs");
    }

    @Test
    void devicesComeAndGoAndTellTheirVersions() throws Exception {
        platform.createProduct("live");
        browser.sees("select", "live");
        DeviceClient device =
                DeviceClient.connect(platform.mqttPort(), platform.createDevice("live", "comes-and-goes"));
        devices.add(device);
        browser.sees(row("comes-and-goes"), "Online");
        device.inform("app", "7.7.7");
        browser.sees(row("comes-and-goes"), "app 7.7.7");
        device.leave();
        browser.sees(row("comes-and-goes"), "Offline");
    }

    @Test
    void subDevicesAreBelowTheirGateway() {
        platform.createProduct("family");
        for (String name : List.of("child-1", "child-2", "gateway-0", "gateway-1")) {
            platform.createDevice("family", name);
        }
        platform.link(new DeviceKey("family", "gateway-0"), new DeviceKey("family", "child-2"));
        platform.link(new DeviceKey("family", "gateway-1"), new DeviceKey("family", "child-1"));
        browser.choose("Product", "family");
        browser.sees(row("child-1"), "behind gateway-1");

        assertThat(browser.texts("tbody th"))
                .extracting(it -> it.replace("└ ", ""))
                .containsExactly("gateway-0", "child-2 behind gateway-0", "gateway-1", "child-1 behind gateway-1");
        browser.click("Details of gateway-0");
        browser.sees("dialog", "1, 0 online");
        browser.click("Disable");
        browser.sees(row("gateway-0"), "Disabled");
        browser.click("Details of child-2");
        browser.click("Delete");
        browser.sees("dialog", "Delete device child-2?");
        browser.click("Delete");
        browser.seesNo(row("child-2"));
    }

    @Test
    void whenTheStreamBreaksThePageComesBackAndIsUpToDate() throws Exception {
        complaintsAreExpected = true;
        int port;
        try (Platform other = other(0)) {
            browser.open(other.pageUri());
            browser.sees("#link-text", "Live");
            port = other.httpPort();
        }
        browser.sees("#link-text", "Reconnecting");

        try (Platform other = other(port)) {
            other.createProduct("meanwhile");
            browser.sees("#link-text", "Live");
            browser.says("Connected again.");
            browser.sees("select", "meanwhile");
        }
        browser.open(platform.httpUri());
        browser.requests();
    }

    private static Platform other(int httpPort) throws Exception {
        return Platform.builder()
                .dataDirectory(directory.resolve("other"))
                .httpPort(httpPort)
                .start();
    }

    @Test
    void twoThousandDevicesAreAFewRowsAtATime() {
        platform.createProduct("many");
        for (int i = 0; i < 2000; i++) {
            platform.createDevice("many", "m-%04d".formatted(i));
        }
        browser.choose("Product", "many");
        browser.sees(".range", "1–50 of 2000");
        browser.click("Next");
        browser.sees(".range", "51–100 of 2000");
        assertThat(browser.texts("tbody tr")).hasSize(50);
        assertThat(browser.focused()).isEqualTo("Next");
        browser.type("Find", "m-1999");
        browser.sees("tbody tr", "m-1999");
        assertThat(browser.texts("tbody tr")).hasSize(1);
    }

    @Test
    void noViewHasABarrierOrIsWiderThanAPhone() throws Exception {
        DeviceClient device = device("looks-" + "x".repeat(58), "edge-with-a-long-name-" + "y".repeat(42));
        FirmwarePackage firmware = addPackage(device.login().productKey(), "2.0.0-" + "z".repeat(58));
        Job job = platform.createJob(JobRequest.of(firmware.id()));
        device.nextPush();
        device.progress("app", -2, "a reason without an end " + "w".repeat(300));
        look(device.login(), job.id(), "light", 1280);
        look(device.login(), job.id(), "dark", PHONE);
        browser.click("Sign out");
        browser.sees("h1", "Sign in");
        check("sign in", PHONE);
    }

    private static void look(DeviceCredentials device, String job, String scheme, int width) {
        browser.size(width, 800);
        browser.prefer(scheme, true);
        for (String view : List.of("#/devices", "#/packages", "#/jobs", "#/jobs/" + job)) {
            browser.go(view);
            browser.sees("tbody tr", view.equals("#/jobs") ? job : view.contains("jobs") ? "Failed" : "looks");
            check(scheme + width + view, width);
        }
        browser.go("#/devices");
        browser.click("Details of " + device.deviceName());
        check("details", width);
        browser.press(Keys.ESCAPE);
        browser.go("#/jobs/" + job);
        browser.click("History of " + device.deviceName());
        check("history", width);
        browser.press(Keys.ESCAPE);
        browser.go("#/jobs");
        browser.click("New job");
        browser.click("More options");
        check("new job", width);
        browser.press(Keys.ESCAPE);
        browser.go("#/packages");
        browser.drop(".drop", Map.of("a-rather-long-name-".repeat(8) + ".bin", "content"));
        browser.click("More options");
        check("new package", width);
        browser.press(Keys.ESCAPE);
    }

    private static void check(String view, int width) {
        assertThat(browser.barriers()).as(view).isEmpty();
        assertThat((Long) browser.run("return document.documentElement.scrollWidth"))
                .as("width of " + view)
                .isLessThanOrEqualTo(width);
        assertThat(browser.run("return [...document.querySelectorAll('.table, dialog, .dialog-body')]"
                        + ".filter((it) => it.scrollWidth > it.clientWidth).length"))
                .as("what is cut off in " + view)
                .isEqualTo(0L);
        assertThat(browser.run(
                        "return [...document.querySelectorAll('button')].filter((it) => it.offsetHeight > 48).length"))
                .as("buttons of several lines in " + view)
                .isEqualTo(0L);
    }

    @Test
    void itIsPhotographed() throws Exception {
        for (int i = 1; i <= 8; i++) {
            device("a1gateway", "edge-" + i);
        }
        FirmwarePackage firmware = addPackage("a1gateway", "2.0.0");
        Job job = platform.createJob(JobRequest.of(firmware.id()).withTimeout(Duration.ofMinutes(30)));
        devices.forEach(DeviceClient::nextPush);
        devices.get(0).progress("app", 100, "").inform("app", "2.0.0");
        devices.get(1).progress("app", 62, "");
        devices.get(2).progress("app", -3, "DIGEST_MISMATCH: expected sha256 6b86b273…, actual d4735e3a…");
        devices.get(3).progress("app", 87, "");
        devices.get(4).progress("app", 100, "").inform("app", "2.0.0");
        devices.get(5).progress("app", 15, "");
        devices.get(6).progress("app", 100, "").inform("app", "2.0.0");
        browser.go("#/jobs/" + job.id());
        browser.sees(".tally", "3 succeeded, 1 failed, 3 in progress, 1 pushed");
        browser.sees(row("edge-6"), "15 %");

        Path picture = browser.screenshot("platform");

        check("a job", 1280);
        assertThat(Files.size(picture)).isBetween(10_000L, 200_000L);
        browser.size(PHONE, 780);
        browser.screenshot("platform-phone");
        browser.prefer("dark", true);
        browser.screenshot("platform-phone-dark");
    }

    private DeviceClient device(String product, String name) throws Exception {
        if (devices.isEmpty()) {
            platform.createProduct(product);
        }
        DeviceClient device = DeviceClient.connect(platform.mqttPort(), platform.createDevice(product, name))
                .subscribe()
                .inform("app", "1.0.0");
        devices.add(device);
        await().atMost(Duration.ofSeconds(30))
                .until(() -> platform.device(product, name).versions().containsKey("app"));
        return device;
    }

    private DeviceClient deviceOf(Task task) {
        return devices.stream()
                .filter(it -> it.login().deviceName().equals(task.deviceName()))
                .findFirst()
                .orElseThrow();
    }

    private static FirmwarePackage addPackage(String product, String version) throws Exception {
        Path file = Files.writeString(directory.resolve("package"), "content of " + product);
        return platform.addPackage(product, "app", version, file, SignMethod.SHA256);
    }

    /** The row of a device, which the page marks by its name. */
    private static String row(String name) {
        return "tr[data-key$='" + name + "']";
    }

    private static String jobOnThePage() {
        return URI.create(browser.address()).getFragment().substring("/jobs/".length());
    }

    private static String hex(String algorithm, String text) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance(algorithm).digest(text.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
