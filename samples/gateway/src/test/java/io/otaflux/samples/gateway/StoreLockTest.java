package io.otaflux.samples.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.otaflux.OtaException.Reason;
import io.otaflux.StorageException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** One store is one client's. */
@RequiresServers
@ExtendWith(NoDroppedErrors.class)
class StoreLockTest {

    @TempDir
    Path directory;

    @Test
    void aSecondClientOnTheSameStoreIsRefusedAndTheFirstGoesOn() {
        Payload payload = Payload.of(300_000, 51);
        try (Site site = Site.open(directory);
                Gateway first = Gateway.start(site)) {
            assertThatThrownBy(() -> Gateway.start(site))
                    .isInstanceOfSatisfying(
                            StorageException.class,
                            refusal -> assertThat(refusal.reason()).isEqualTo(Reason.STORE_LOCKED))
                    .hasMessageContaining(first.storeDirectory().getFileName().toString());
            try (DeviceProcess other = DeviceProcess.start(site, 1_000_000)) {
                assertThat(other.awaitExit(Gateway.PATIENCE)).isNotZero();
                assertThat(other.output()).contains("is in use by another process");
            }

            site.cloud().push(site.publish("app", "2.0.0", payload));
            first.awaitSuccess("2.0.0");
            assertThat(first.appFile()).hasBinaryContent(payload.bytes());
        }
        try (Site site = Site.open(directory);
                Gateway next = Gateway.start(site)) {
            site.cloud().push(site.publish("app", "3.0.0", payload));
            next.awaitSuccess("3.0.0");
        }
    }
}
