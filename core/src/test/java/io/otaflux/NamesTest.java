package io.otaflux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** No name that a platform sends leads out of the directory that it is put in, or means something to a shell or terminal. */
class NamesTest {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                ".",
                "..",
                "...",
                "/",
                "/etc/passwd",
                "../etc/passwd",
                "../../../../etc/cron.d/x",
                "a/../../b",
                "a/b",
                "a/",
                "./a",
                ".a",
                ".ssh",
                "..\\a",
                "a\\..\\b",
                "C:\\a",
                "\\\\host\\share",
                "~",
                "~root",
                "-a",
                "-rf",
                "--output=x",
                " a",
                "a\0.bin",
                "a\0/../b",
                "a\nb",
                "a\rb",
                "a\tb",
                "a\u001b[2Jb",
                "a\u007f",
                "a%2fb",
                "%2e%2e%2fa",
                "a\u2215b",
                "a\u2024\u2024",
                "\uff0e\uff0e\uff0fa",
                "a\u202ebin.exe",
                "\u00e9",
                "a;reboot",
                "a|b",
                "a&b",
                "a>b",
                "a*",
                "a?",
                "$HOME",
                "`id`",
                "a'b",
                "a\"b",
                "a=b",
                "a,b",
                "a#b"
            })
    void traversalsOptionsAndControlCharactersAreNoNames(String name) {
        for (Names kind : Names.values()) {
            assertThatThrownBy(() -> kind.check("what", name))
                    .as("%s", kind)
                    .isInstanceOf(IllegalArgumentException.class)
                    .satisfies(refusal -> assertThat(refusal.getMessage()).matches(Pattern.compile("[\\x20-\\x7e…]*")));
        }
        assertThatThrownBy(() -> new DeviceId("product", name)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> trigger(name, "1", "a")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> trigger("app", name, "a")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> trigger("app", "1", name)).isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @EnumSource(Names.class)
    void aNameIsNoLongerThanAFileNameMayBe(Names kind) {
        String longest = "a".repeat(kind == Names.ARTIFACT ? 128 : 64);

        assertThat(kind.check("what", longest)).isEqualTo(longest);
        assertThatThrownBy(() -> kind.check("what", longest + "a")).isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @EnumSource(Names.class)
    void whatMayBeANameStaysInItsDirectory(Names kind) {
        Path directory = Path.of("/var/lib/ota");
        for (String name : List.of("a", "a..b", "a..", "1.0.0-rc.1", "_", "0.-a")) {
            Path file = directory.resolve(kind.check("what", name)).normalize();

            assertThat(file.getParent()).isEqualTo(directory);
        }
    }

    private static UpgradeTrigger trigger(String module, String version, String artifact) {
        DeviceId device = new DeviceId("product", "device");
        URI location = URI.create("https://files.example.org/a");
        return new UpgradeTrigger(device, module, version, new Artifact(artifact, location, 1, List.of()));
    }
}
