package io.otaflux.testkit;

import io.otaflux.OtaException;
import io.otaflux.UpgradeChannel;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import java.util.ArrayList;
import java.util.List;

class MemoryChannelTest extends UpgradeChannelContract {

    @Override
    protected Platform platform() {
        MemoryChannel channel = new MemoryChannel();
        return new Platform() {
            @Override
            public UpgradeChannel channel() {
                return channel;
            }

            @Override
            public void push(UpgradeTrigger trigger) {
                channel.push(trigger);
            }

            @Override
            public void pushNonsense() {
                // There is no wire that could carry it.
            }

            @Override
            public void pending(UpgradeTrigger trigger) {
                channel.pending(trigger);
            }

            @Override
            public void cut() {
                channel.cut();
            }

            @Override
            public void restore() {
                channel.restore();
            }

            @Override
            public void refuse() {
                channel.refuse();
            }

            @Override
            public List<String> versions() {
                return channel.versions();
            }

            @Override
            public List<Integer> percents() {
                List<Integer> percents = new ArrayList<>();
                channel.events(UpgradeEvent.Received.class).forEach(received -> percents.add(received.percent()));
                return percents;
            }

            @Override
            public List<OtaException.Stage> failures() {
                return channel.events(UpgradeEvent.Failed.class).stream()
                        .map(failed -> failed.cause().stage())
                        .toList();
            }

            @Override
            public void close() {}
        };
    }
}
