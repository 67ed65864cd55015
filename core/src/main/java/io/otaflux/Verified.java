package io.otaflux;

import io.netty.buffer.ByteBuf;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * The bytes of an upgrade are the ones that the platform named. Only {@link OtaClient#verify} makes one, so installing
 * unverified bytes does not compile.
 */
public final class Verified implements UpgradeEvent {

    private final Upgrade upgrade;
    private final UpgradeTrigger trigger;
    private final List<File> files;
    private final Assurance assurance;

    Verified(Upgrade upgrade, UpgradeTrigger trigger, List<File> files, Assurance assurance) {
        this.upgrade = upgrade;
        this.trigger = trigger;
        this.files = List.copyOf(files);
        this.assurance = assurance;
    }

    @Override
    public UpgradeTrigger trigger() {
        return trigger;
    }

    /** What was verified, in the order of {@link UpgradeTrigger#artifacts()}. */
    public List<File> files() {
        return files;
    }

    /** The first file, and nearly always the only one. */
    public File file() {
        return files.get(0);
    }

    /** How much the verification proves: the least of all files. */
    public Assurance assurance() {
        return assurance;
    }

    Upgrade upgrade() {
        return upgrade;
    }

    @Override
    public String toString() {
        return "Verified[trigger=" + trigger + ", assurance=" + assurance + "]";
    }

    /** What a successful verification proves, from the least on. */
    public enum Assurance {
        /** The length only: the platform gave no digest. */
        LENGTH,
        /** MD5 or SHA-1 match: nothing broke on the way, but somebody could have made two files with this digest. */
        WEAK_INTEGRITY,
        /** SHA-256 or SHA-512 match: these are the bytes the platform named. */
        INTEGRITY,
        /** The same, and the holder of the configured key's private half signed that digest. */
        ORIGIN
    }

    /** One verified artifact. */
    public static final class File {

        private final Artifact artifact;
        private final ArtifactStore.Stored stored;

        File(Artifact artifact, ArtifactStore.Stored stored) {
            this.artifact = artifact;
            this.stored = stored;
        }

        public Artifact artifact() {
            return artifact;
        }

        /** The length in bytes. */
        public long size() {
            return stored.size();
        }

        /** The digest that was found to be right; the one the store computed, where the platform gave none. */
        public Digest digest() {
            return stored.digest();
        }

        /**
         * Emits the bytes and hashes them once more as they pass: what was verified is what is installed, even if somebody
         * wrote to the file in between.
         *
         * @return a {@code Flux} of buffers, each released by the subscriber, on a thread that may block. It completes only
         *     if the bytes that were emitted are the verified ones; otherwise it throws the file out of the store and errors
         *     with {@link DigestMismatchException} or {@link LengthMismatchException}
         */
        public Flux<ByteBuf> read() {
            return Flux.defer(() -> {
                Hasher hasher = new Hasher(Set.of(digest().algorithm()));
                return InOrder.of(stored.read().doOnNext(hasher::update), Mono.defer(() -> check(hasher)));
            });
        }

        private Mono<ByteBuf> check(Hasher hasher) {
            long length = hasher.bytes();
            Digest actual = hasher.finish().get(0);
            if (length != size()) {
                return changed(new LengthMismatchException(artifact.name(), size(), length));
            }
            return actual.matches(digest())
                    ? Mono.empty()
                    : changed(
                            new DigestMismatchException(OtaException.Stage.INSTALL, artifact.name(), digest(), actual));
        }

        /** Throws it out of the store, where the same upgrade would find it again and fail again. */
        private Mono<ByteBuf> changed(OtaException mismatch) {
            return stored.evict().onErrorComplete(OtaException.class).then(Mono.error(mismatch));
        }

        /** Moves the file out of the store; see {@link ArtifactStore.Stored#moveTo(Path)}. */
        public Mono<Void> moveTo(Path target) {
            return stored.moveTo(target);
        }

        ArtifactStore.Stored stored() {
            return stored;
        }

        @Override
        public String toString() {
            return "File[" + artifact + "]";
        }
    }
}
