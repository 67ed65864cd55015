package io.otaflux.transport.aliyun;

import io.otaflux.OtaException;
import io.otaflux.UpgradeTrigger;
import org.jspecify.annotations.Nullable;

/** What a push, or the answer to a query, turned out to be. */
sealed interface Push {

    /** It asks for an upgrade. */
    record Upgrade(UpgradeTrigger trigger) implements Push {}

    /** It says that nothing is pending. */
    record Nothing() implements Push {}

    /**
     * It cannot be followed.
     *
     * @param module whose upgrade it was to be; null where not even that is clear
     */
    record Skipped(@Nullable String module, OtaException cause) implements Push {}
}
