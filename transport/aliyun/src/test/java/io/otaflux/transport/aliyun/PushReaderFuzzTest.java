package io.otaflux.transport.aliyun;

import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.Artifact;
import io.otaflux.ChannelException;
import io.otaflux.DeviceId;
import io.otaflux.OtaException;
import io.otaflux.RefusedException;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.Corpus;
import java.util.Arrays;

/**
 * Whatever the payload of a push is: it asks for an upgrade whose every part may be used, or it is skipped with a reason
 * that can be told, and quotes no credential.
 */
class PushReaderFuzzTest {

    private static final DeviceId DEVICE = new DeviceId("pk", "dn");

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        Push push = PushReader.read(DEVICE, input);
        // As some C programs send it.
        Push terminated = PushReader.read(DEVICE, Arrays.copyOf(input, input.length + 2));
        if (push instanceof Push.Upgrade upgrade) {
            assertUsable(upgrade.trigger());
            assertThat(terminated).isEqualTo(push);
        } else if (push instanceof Push.Skipped skipped) {
            assertTold(skipped);
            assertThat(terminated).isInstanceOf(Push.Skipped.class);
        } else {
            throw new AssertionError("a push that says nothing");
        }
        try {
            Push answer = PushReader.readAnswer(DEVICE, Messages.read(input).path("data"), "app");
            if (answer instanceof Push.Upgrade upgrade) {
                assertUsable(upgrade.trigger());
            } else if (answer instanceof Push.Skipped skipped) {
                assertTold(skipped);
            }
            Push configuration =
                    PushReader.readConfiguration(DEVICE, Messages.read(input).path("data"));
            if (configuration instanceof Push.Upgrade upgrade) {
                assertUsable(upgrade.trigger());
                assertThat(upgrade.trigger().module()).isEqualTo(AliyunDevice.CONFIG_MODULE);
                assertThat(upgrade.trigger().size()).isLessThanOrEqualTo(64 * 1024);
            } else if (configuration instanceof Push.Skipped skipped) {
                assertTold(skipped);
                assertThat(skipped.module())
                        .as("a step would be one of the firmware")
                        .isNull();
            }
        } catch (MalformedMessage e) {
            assertThat(push).isInstanceOf(Push.Skipped.class);
        }
    }

    private static void assertUsable(UpgradeTrigger trigger) {
        assertThat(trigger.device()).isEqualTo(DEVICE);
        assertThat(trigger.module()).matches("[A-Za-z0-9_][A-Za-z0-9._-]{0,63}");
        assertThat(trigger.version()).matches("[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}");
        assertThat(trigger.artifacts()).hasSizeBetween(1, 20);
        assertThat(trigger.size()).isNotNegative();
        for (Artifact artifact : trigger.artifacts()) {
            if (artifact.location().isOpaque()) {
                assertThat(artifact.location().toString()).matches("aliyun-stream:[0-9]{1,18}/[0-9]{1,18}");
            } else {
                assertThat(artifact.location().getScheme()).matches("(?i)https?");
                assertThat(artifact.location().getHost()).isNotEmpty();
            }
            assertThat(artifact.size()).isNotNegative();
            String query = artifact.location().getRawQuery();
            if (query != null && query.length() > 8) {
                assertThat(trigger.toString()).doesNotContain("?" + query);
            }
        }
    }

    private static void assertTold(Push.Skipped skipped) {
        OtaException cause = skipped.cause();
        assertThat(cause)
                .isInstanceOfAny(ChannelException.class, RefusedException.class)
                .hasNoCause();
        assertThat(cause.getMessage())
                .hasSizeLessThan(600)
                .matches("[\\x20-\\x7e…]*")
                .doesNotContain("://");
        assertThat(Step.failed(cause).isFailure()).isTrue();
        assertThat(Step.failed(cause).description()).hasSizeLessThanOrEqualTo(128);
    }
}
