package io.otaflux.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.otaflux.DigestMismatchException;
import io.otaflux.Installer;
import io.otaflux.LengthMismatchException;
import io.otaflux.Verified;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.test.StepVerifier;

/** What every {@link Installer} must do with an upgrade of one file. */
public interface InstallerContract {

    /** How long a test waits for something that should come at once. */
    Duration SOON = Duration.ofSeconds(30);

    /** The one installer of this test. */
    Installer installer();

    /** Makes upgrades. */
    Verification verification();

    /** The bytes that would run if the module were started now; empty while there are none. */
    Optional<byte[]> installed();

    @Test
    default void theVerifiedBytesAreInstalled() {
        byte[] content = ArtifactStoreContract.bytes(600_000, 1);

        install(verification().upgrade("app", "1.0.0", content));

        assertThat(installed()).hasValue(content);
    }

    @Test
    default void aNewVersionReplacesTheOldOne() {
        byte[] content = ArtifactStoreContract.bytes(1_000, 2);
        installed("1.0.0", ArtifactStoreContract.bytes(2_000, 3));

        install(verification().upgrade("app", "2.0.0", content));

        assertThat(installed()).hasValue(content);
    }

    @Test
    default void installingAgainAfterACrashIsHarmless() {
        byte[] content = ArtifactStoreContract.bytes(1_000, 4);
        Verified upgrade = verification().upgrade("app", "2.0.0", content);
        install(upgrade);

        install(upgrade);

        assertThat(installed()).hasValue(content);
    }

    @Test
    default void bytesThatChangedAfterVerificationAreNotInstalled() {
        byte[] old = installed("1.0.0", ArtifactStoreContract.bytes(1_000, 5));
        Verified upgrade = verification().upgrade("app", "2.0.0", ArtifactStoreContract.bytes(600_000, 6));
        verification().reads(bytes -> bytes.doOnNext(chunk -> chunk.setByte(0, chunk.getByte(0) ^ 1)));

        installer()
                .install(upgrade)
                .as(StepVerifier::create)
                .expectError(DigestMismatchException.class)
                .verify(SOON);

        assertThat(installed()).hasValue(old);
    }

    @Test
    default void bytesThatWereCutOffAfterVerificationAreNotInstalled() {
        byte[] old = installed("1.0.0", ArtifactStoreContract.bytes(1_000, 7));
        Verified upgrade = verification().upgrade("app", "2.0.0", ArtifactStoreContract.bytes(600_000, 8));
        verification().reads(bytes -> bytes.take(1));

        installer()
                .install(upgrade)
                .as(StepVerifier::create)
                .expectError(LengthMismatchException.class)
                .verify(SOON);

        assertThat(installed()).hasValue(old);
    }

    @Test
    default void nothingHappensBeforeSubscription() {
        byte[] old = installed("1.0.0", ArtifactStoreContract.bytes(1_000, 9));
        AtomicBoolean read = new AtomicBoolean();
        Verified upgrade = verification().upgrade("app", "2.0.0", ArtifactStoreContract.bytes(1_000, 10));
        verification().reads(bytes -> bytes.doOnSubscribe(subscription -> read.set(true)));

        installer().install(upgrade);

        assertThat(read).isFalse();
        assertThat(installed()).hasValue(old);
    }

    @Test
    default void cancellationInTheMiddleLeavesTheOldVersion() throws InterruptedException {
        byte[] old = installed("1.0.0", ArtifactStoreContract.bytes(1_000, 11));
        byte[] content = ArtifactStoreContract.bytes(600_000, 12);
        Verified upgrade = verification().upgrade("app", "2.0.0", content);
        CountDownLatch halfWay = new CountDownLatch(1);
        verification()
                .reads(bytes -> bytes.take(1)
                        .concatWith(Flux.<ByteBuf>never().doOnSubscribe(subscription -> halfWay.countDown())));
        Disposable installing = installer().install(upgrade).subscribe();
        assertThat(halfWay.await(SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();

        installing.dispose();

        assertThat(installed()).hasValue(old);
        verification().reads(bytes -> bytes);
        install(upgrade);
        assertThat(installed()).as("tried again").hasValue(content);
    }

    @Test
    default void theSubscribersThreadIsNotBlocked() {
        Verified upgrade = verification().upgrade("app", "1.0.0", ArtifactStoreContract.bytes(1_000, 13));
        AtomicReference<Thread> worker = new AtomicReference<>();

        installer()
                .install(upgrade)
                .doOnNext(effect -> worker.set(Thread.currentThread()))
                .as(StepVerifier::create)
                .expectNextCount(1)
                .expectComplete()
                .verify(SOON);

        assertThat(worker.get()).isNotNull().isNotSameAs(Thread.currentThread());
    }

    private byte[] installed(String version, byte[] content) {
        Verified upgrade = verification().upgrade("app", version, content);
        install(upgrade);
        installer()
                .confirm(upgrade.trigger())
                .as(StepVerifier::create)
                .expectComplete()
                .verify(SOON);
        return content;
    }

    private void install(Verified upgrade) {
        installer()
                .install(upgrade)
                .as(StepVerifier::create)
                .expectNextCount(1)
                .expectComplete()
                .verify(SOON);
    }
}
