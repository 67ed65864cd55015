package io.otaflux.samples.platform;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DeviceTopicsTest {

    private static final DeviceKey DEVICE = new DeviceKey("pk", "dn");

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/ota/device/inform/pk/dn",
                "/ota/device/progress/pk/dn",
                "/ota/device/request/pk/dn",
                "/sys/pk/dn/thing/ota/firmware/get",
                "/sys/pk/dn/thing/deviceinfo/update",
                "/sys/pk/dn/thing/topo/add/notify_reply",
                "/ext/session/pk/dn/combine/login"
            })
    void aDeviceReportsOnItsOwnTopics(String topic) {
        assertThat(mayPublish(DEVICE, topic)).isTrue();
        assertThat(mayPublish(new DeviceKey("pk", "other"), topic)).isFalse();
        assertThat(mayPublish(new DeviceKey("other", "dn"), topic)).isFalse();
    }

    private static boolean mayPublish(DeviceKey device, String topic) {
        return DeviceTopics.isFromDevice(topic)
                && DeviceTopics.device(topic).filter(device::equals).isPresent();
    }

    private static boolean maySubscribe(DeviceKey device, String filter) {
        return DeviceTopics.isForDevice(filter)
                && DeviceTopics.device(filter).filter(device::equals).isPresent();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/ota/device/upgrade/pk/dn",
                "/sys/pk/dn/thing/ota/firmware/get_reply",
                "/sys/pk/x_reply",
                "/sys/x_reply",
                "/ext/error/pk/dn",
                "/ota/device/inform/pk/dn/x",
                "/ota/device/inform/pk",
                "$sys/x",
                "x",
                "/sys/pk/dn2/thing/x"
            })
    void aDeviceCannotSpeakForThePlatformOrOthers(String topic) {
        assertThat(mayPublish(DEVICE, topic)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/ota/device/upgrade/pk/dn",
                "/sys/pk/dn/thing/ota/firmware/get_reply",
                "/sys/pk/dn/#",
                "/sys/pk/dn/+/x"
            })
    void aDeviceSubscribesToItsOwnTopics(String filter) {
        assertThat(maySubscribe(DEVICE, filter)).isTrue();
        assertThat(maySubscribe(new DeviceKey("pk", "other"), filter)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "#",
                "+/#",
                "/ota/#",
                "/ota/device/upgrade/+/+",
                "/ota/device/upgrade/pk/+",
                "/ota/device/upgrade/pk/dn/#",
                "/ota/device/inform/pk/dn",
                "/sys/+/+/thing/ota/firmware/get",
                "/sys/pk/+/x"
            })
    void aDeviceCannotListenToOthers(String filter) {
        assertThat(maySubscribe(DEVICE, filter)).isFalse();
    }

    @Test
    void whatAMessageIsAboutComesFromItsTopic() {
        assertThat(DeviceTopics.parse("/ota/device/inform/pk/dn"))
                .contains(new DeviceTopics.Address(DeviceTopics.Kind.INFORM, DEVICE));
        assertThat(DeviceTopics.parse("/ota/device/progress/pk/dn"))
                .contains(new DeviceTopics.Address(DeviceTopics.Kind.PROGRESS, DEVICE));
        assertThat(DeviceTopics.parse("/sys/pk/dn/thing/ota/firmware/get"))
                .contains(new DeviceTopics.Address(DeviceTopics.Kind.QUERY, DEVICE));
        assertThat(DeviceTopics.parse("/sys/pk/dn/thing/topo/add"))
                .contains(new DeviceTopics.Address(DeviceTopics.Kind.TOPO_ADD, DEVICE));
        assertThat(DeviceTopics.parse("/ext/session/pk/dn/combine/batch_login"))
                .contains(new DeviceTopics.Address(DeviceTopics.Kind.BATCH_LOGIN, DEVICE));
        assertThat(DeviceTopics.parse("/ext/session/session/sys/combine/login"))
                .contains(new DeviceTopics.Address(DeviceTopics.Kind.LOGIN, new DeviceKey("session", "sys")));
        assertThat(DeviceTopics.parse("/ota/device/upgrade/pk/dn")).isEmpty();
        assertThat(DeviceTopics.parse("/sys/pk/dn/thing/ota/firmware/get_reply"))
                .isEmpty();
        assertThat(DeviceTopics.parse("x")).isEmpty();
        assertThat(DeviceTopics.upgradeTarget("/ota/device/upgrade/pk/dn")).contains(DEVICE);
        assertThat(DeviceTopics.upgradeTarget("/ota/device/upgrade/pk")).isEmpty();
        assertThat(DeviceTopics.upgradeTarget("/ota/device/inform/pk/dn")).isEmpty();
    }
}
