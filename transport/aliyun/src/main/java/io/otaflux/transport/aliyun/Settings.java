package io.otaflux.transport.aliyun;

import io.otaflux.Backoff;
import io.otaflux.DeviceId;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * What {@link AliyunDevice.Builder} made of what it was told.
 *
 * @param timeout how long the platform may take for anything that it has to answer
 * @param networkTimeout how long {@link AliyunDevice#connect()} waits; null for ever
 * @param splay the bound of the random wait before the first attempt; may be zero
 * @param backoff the bounds of the waits between attempts; its number of attempts means nothing here
 * @param stuckAfter how long an emitted delivery may stay unacknowledged
 * @param questionPause how long nothing is asked after the platform said that it is asked too often
 * @param remoteConfiguration whether configurations are listened to and asked for
 * @param legacyQueries whether the platform is one that is asked on the topic of 2018
 */
record Settings(
        DeviceId device,
        Endpoint endpoint,
        Login login,
        Duration keepAlive,
        Duration timeout,
        @Nullable Duration networkTimeout,
        Duration splay,
        Backoff backoff,
        Duration stuckAfter,
        Duration questionPause,
        boolean remoteConfiguration,
        boolean legacyQueries) {}
