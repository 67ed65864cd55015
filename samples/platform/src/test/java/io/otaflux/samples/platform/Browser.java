package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.otaflux.testkit.RequiresProgram;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.openqa.selenium.By;
import org.openqa.selenium.Keys;
import org.openqa.selenium.OutputType;
import org.openqa.selenium.StaleElementReferenceException;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.WindowType;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.chrome.ChromeDriverService;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.interactions.Actions;
import org.openqa.selenium.logging.LogEntry;
import org.openqa.selenium.logging.LogType;
import org.openqa.selenium.logging.LoggingPreferences;

/** A Chromium without a window, with the words in which tests of the page speak: what somebody sees, and what he does. */
final class Browser implements AutoCloseable {

    // Held, or the setting would go with it. It warns of tools for developers that are not used here.
    private static final Logger DRIVER_LOG = Logger.getLogger("org.openqa.selenium");
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final Path SCREENSHOTS = Path.of("target", "screenshots");

    private final ChromeDriver driver;
    private final String accessibilityChecks;

    Browser(Path profile) throws IOException {
        DRIVER_LOG.setLevel(Level.SEVERE);
        ChromeOptions options = new ChromeOptions();
        options.setBinary(program("chromium"));
        options.addArguments(
                "--headless=new",
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--no-first-run",
                "--lang=en-GB",
                "--user-data-dir=" + profile);
        LoggingPreferences logs = new LoggingPreferences();
        logs.enable(LogType.BROWSER, Level.ALL);
        logs.enable(LogType.PERFORMANCE, Level.ALL);
        options.setCapability("goog:loggingPrefs", logs);
        driver = new ChromeDriver(
                new ChromeDriverService.Builder()
                        .usingDriverExecutable(program("chromedriver"))
                        .usingAnyFreePort()
                        .build(),
                options);
        try (InputStream in = Browser.class.getResourceAsStream("/axe.min.js")) {
            accessibilityChecks = new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static File program(String name) {
        return RequiresProgram.Installed.find(name).orElseThrow().toFile();
    }

    /** Opens the page in a new tab, 1280 pixels wide and light, which knows of no token. */
    void open(URI page) {
        String before = driver.getWindowHandle();
        String fresh = driver.switchTo().newWindow(WindowType.TAB).getWindowHandle();
        driver.switchTo().window(before).close();
        driver.switchTo().window(fresh);
        size(1280, 800);
        prefer("light", false);
        driver.get(page.toString());
    }

    void go(String fragment) {
        driver.executeScript("location.hash = arguments[0]", fragment);
    }

    String address() {
        return Objects.requireNonNull(driver.getCurrentUrl());
    }

    @org.jspecify.annotations.Nullable
    Object run(String script, Object... arguments) {
        return driver.executeScript(script, arguments);
    }

    /** A window of this size. */
    void size(int width, int height) {
        driver.executeCdpCommand(
                "Emulation.setDeviceMetricsOverride",
                Map.of("width", width, "height", height, "deviceScaleFactor", 1, "mobile", width < 500));
    }

    /** What the person prefers. */
    void prefer(String scheme, boolean reducedMotion) {
        driver.executeCdpCommand(
                "Emulation.setEmulatedMedia",
                Map.of(
                        "features",
                        List.of(
                                Map.of("name", "prefers-color-scheme", "value", scheme),
                                Map.of(
                                        "name",
                                        "prefers-reduced-motion",
                                        "value",
                                        reducedMotion ? "reduce" : "no-preference"))));
    }

    /** Waits until the page has this text in an element that is seen. */
    void sees(String css, String text) {
        await("to see '" + text + "' in " + css)
                .atMost(PATIENCE)
                .untilAsserted(() -> assertThat(texts(css)).anyMatch(it -> it.contains(text)));
    }

    void seesNo(String css) {
        await("to see no " + css).atMost(PATIENCE).until(() -> texts(css).isEmpty());
    }

    List<String> texts(String css) {
        List<String> texts = new ArrayList<>();
        for (WebElement element : driver.findElements(By.cssSelector(css))) {
            try {
                if (element.isDisplayed()) {
                    texts.add(element.getText());
                }
            } catch (StaleElementReferenceException e) {
                // Went away while it was looked at.
            }
        }
        return texts;
    }

    WebElement find(String css) {
        await("for " + css)
                .atMost(PATIENCE)
                .until(() -> driver.findElements(By.cssSelector(css)).stream().anyMatch(WebElement::isDisplayed));
        return driver.findElements(By.cssSelector(css)).stream()
                .filter(WebElement::isDisplayed)
                .findFirst()
                .orElseThrow();
    }

    /** Clicks the button or link that is called this: the topmost dialog's, if one is open. */
    void click(String name) {
        await("to click '" + name + "'").atMost(PATIENCE).ignoreExceptions().until(() -> {
            for (WebElement element :
                    driver.findElements(By.cssSelector(inDialog("button, a, summary, .like-button")))) {
                if (element.isDisplayed()
                        && name.equals(element.getAccessibleName().strip())) {
                    element.click();
                    return true;
                }
            }
            return false;
        });
    }

    private String inDialog(String css) {
        return driver.findElements(By.cssSelector("dialog[open]")).isEmpty() ? css : "dialog[open] :is(" + css + ")";
    }

    void type(String name, String text) {
        WebElement control = control(name);
        control.clear();
        control.sendKeys(text);
    }

    void choose(String name, String option) {
        for (WebElement it : control(name).findElements(By.tagName("option"))) {
            if (it.getText().contains(option)) {
                it.click();
                return;
            }
        }
        throw new AssertionError("no option " + option + " in " + name);
    }

    void tick(String name) {
        control(name).click();
    }

    /** The control with this name for who cannot see it. */
    WebElement control(String name) {
        WebElement[] found = new WebElement[1];
        await("for the control '" + name + "'")
                .atMost(PATIENCE)
                .ignoreExceptions()
                .until(() -> {
                    for (WebElement it : driver.findElements(By.cssSelector(inDialog("input, select, textarea")))) {
                        if (it.isDisplayed() && it.getAccessibleName().strip().startsWith(name)) {
                            found[0] = it;
                            return true;
                        }
                    }
                    return false;
                });
        return found[0];
    }

    /** Presses keys, wherever the focus is. */
    void press(CharSequence... keys) {
        new Actions(driver).sendKeys(keys).perform();
    }

    /** Tabs until the focus is on what is called this; fails after a whole round. */
    void tabTo(String name) {
        for (int i = 0; i < 60; i++) {
            press(Keys.TAB);
            WebElement focused = driver.switchTo().activeElement();
            if (focused.getAccessibleName().strip().equals(name)) {
                assertThat(driver.executeScript("return document.activeElement.matches(':focus-visible')"))
                        .as("the focus on " + name + " is seen")
                        .isEqualTo(true);
                return;
            }
        }
        throw new AssertionError("the focus never came to " + name);
    }

    String focused() {
        return driver.switchTo().activeElement().getAccessibleName();
    }

    /** Lets go of files over an element, as a file manager does. */
    void drop(String css, Map<String, String> files) {
        find(css);
        driver.executeScript("""
                const transfer = new DataTransfer();
                for (const [name, content] of Object.entries(arguments[1])) {
                  transfer.items.add(new File([content], name));
                }
                const target = document.querySelector(arguments[0]);
                for (const type of ['dragenter', 'dragover', 'drop']) {
                  target.dispatchEvent(new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true}));
                }
                """, css, files);
    }

    void chooseFile(Path file) {
        driver.findElement(By.cssSelector("input[type=file]"))
                .sendKeys(file.toAbsolutePath().toString());
    }

    /** Waits until who listens has been told this. */
    void says(String text) {
        await("to hear '" + text + "'")
                .atMost(PATIENCE)
                .until(() -> text.equals(
                        driver.executeScript("return document.querySelector('[aria-live=polite]').textContent")));
    }

    /** What a checker of accessibility finds serious. */
    List<String> barriers() {
        driver.executeScript(accessibilityChecks);
        Object found = driver.executeAsyncScript("""
                const done = arguments[arguments.length - 1];
                axe.run(document, {resultTypes: ['violations']}).then(
                  (result) => done(JSON.stringify(result.violations)),
                  (failure) => done(JSON.stringify([{id: String(failure), impact: 'critical', nodes: []}])));
                """);
        List<String> barriers = new ArrayList<>();
        for (JsonNode violation : json((String) found)) {
            String impact = violation.path("impact").asText();
            if (impact.equals("serious") || impact.equals("critical")) {
                barriers.add(violation.path("id").asText() + ": "
                        + violation.path("nodes").findValuesAsText("html") + " "
                        + violation.path("nodes").findValuesAsText("failureSummary"));
            }
        }
        return barriers;
    }

    /** What the console says, since the last look, that a person who opens it would worry about. */
    List<String> complaints() {
        List<String> complaints = new ArrayList<>();
        for (LogEntry entry : driver.manage().logs().get(LogType.BROWSER)) {
            if (entry.getLevel().intValue() >= Level.WARNING.intValue()) {
                complaints.add(entry.getMessage());
            }
        }
        return complaints;
    }

    /** Where the page's requests went, since the last look. */
    List<URI> requests() {
        List<URI> requests = new ArrayList<>();
        for (LogEntry entry : driver.manage().logs().get(LogType.PERFORMANCE)) {
            JsonNode message = json(entry.getMessage()).path("message");
            if (message.path("method").asText().equals("Network.requestWillBeSent")) {
                requests.add(URI.create(message.at("/params/request/url").asText()));
            }
        }
        return requests;
    }

    Path screenshot(String name) throws IOException {
        Files.createDirectories(SCREENSHOTS);
        return Files.write(SCREENSHOTS.resolve(name + ".png"), driver.getScreenshotAs(OutputType.BYTES));
    }

    @Override
    public void close() {
        driver.quit();
    }

    private static JsonNode json(String text) {
        try {
            return DeviceClient.JSON.readTree(text);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
