package io.otaflux.transport.aliyun;

import com.hivemq.client.mqtt.datatypes.MqttQos;
import io.otaflux.OtaException.Stage;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import io.otaflux.testkit.UpgradeChannelContract;
import java.util.List;
import org.jspecify.annotations.Nullable;

@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class AliyunChannelContractTest extends UpgradeChannelContract {

    @Override
    protected Platform platform() throws Exception {
        MosquittoBroker broker = MosquittoBroker.start();
        TestPlatform.enrol(broker.port());
        TestPlatform platform = TestPlatform.on(broker);
        AliyunDevice device = TestPlatform.device(broker.port()).build();
        return new Platform() {

            private @Nullable RefusingBroker refusing;

            @Override
            public UpgradeChannel channel() {
                return device.upgrades();
            }

            @Override
            public void push(UpgradeTrigger trigger) {
                platform.push(trigger);
            }

            @Override
            public void pushNonsense() {
                platform.push("{\"data\":", MqttQos.AT_LEAST_ONCE);
            }

            @Override
            public void pending(UpgradeTrigger trigger) {
                platform.pending(trigger);
            }

            @Override
            public void cut() {
                platform.brokerIsAway(true);
                broker.stop();
            }

            @Override
            public void restore() {
                broker.restart();
                platform.brokerIsAway(false);
            }

            @Override
            public void refuse() {
                broker.stop();
                refusing = RefusingBroker.answering(4, broker.port());
            }

            @Override
            public List<String> versions() {
                return platform.versions();
            }

            @Override
            public List<Integer> percents() {
                return steps().stream().filter(step -> step >= 0).toList();
            }

            @Override
            public List<Stage> failures() {
                return steps().stream()
                        .filter(step -> step < 0)
                        .map(step -> Stage.values()[-step - 1])
                        .toList();
            }

            private List<Integer> steps() {
                return platform.steps().stream().map(Integer::valueOf).toList();
            }

            @Override
            public void close() {
                device.close().block(PATIENCE);
                platform.close();
                if (refusing != null) {
                    refusing.close();
                }
                broker.close();
            }
        };
    }
}
