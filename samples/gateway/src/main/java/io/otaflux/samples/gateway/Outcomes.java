package io.otaflux.samples.gateway;

import io.otaflux.Installed;
import io.otaflux.OtaException;
import io.otaflux.UpgradeTrigger;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;

/** Counts what became of upgrades, for whatever collects the numbers of this gateway. Any thread may count. */
final class Outcomes {

    private final LongAdder begun = new LongAdder();
    private final LongAdder installed = new LongAdder();
    private final Map<OtaException.Reason, LongAdder> failed = new ConcurrentHashMap<>();

    void begun(UpgradeTrigger trigger) {
        begun.increment();
    }

    void installed(Installed upgrade) {
        installed.increment();
    }

    void failed(OtaException cause) {
        failed.computeIfAbsent(cause.reason(), reason -> new LongAdder()).increment();
    }

    @Override
    public String toString() {
        return begun + " begun, " + installed + " installed, failed: " + failed;
    }
}
