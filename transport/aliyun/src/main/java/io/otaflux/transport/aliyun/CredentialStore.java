package io.otaflux.transport.aliyun;

import reactor.core.publisher.Mono;

/**
 * Where the credentials of one device outlive its process. Implement it for a secure element or a key store;
 * {@link FileCredentialStore} is a file.
 */
public interface CredentialStore {

    /**
     * @return a {@code Mono} that emits what was saved last, or completes empty when nothing ever was. It errors when what
     *     was saved cannot be read, since a device that then registered anew could lock itself out
     */
    Mono<Credentials> load();

    /**
     * Keeps {@code credentials} in place of what was there before: all of it or, in a power cut, what was there before.
     *
     * @return a {@code Mono} that completes when they are durable. The device makes no use of them before that
     */
    Mono<Void> save(Credentials credentials);
}
