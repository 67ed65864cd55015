/**
 * An OTA platform for one machine that speaks the server side of the Alibaba Cloud IoT device protocol to any client.
 *
 * <p>{@link io.otaflux.samples.platform.Platform} is the way in: it starts an embedded MQTT broker (or joins an external
 * one), a file server for artifacts and a REST API, and keeps its state in one directory.
 *
 * <p>How the parts hang together: every fact (a version report, a progress report, a job) becomes a command that runs on one
 * thread ({@code StateLoop}) against {@code Jobs}, is written to {@code StateLog}, and only then has effects: pushes to
 * devices through {@code DeviceConversation}, answers to callers, {@link io.otaflux.samples.platform.TaskChange} events.
 * {@code TaskStateMachine} holds the transitions themselves and nothing else.
 */
@NullMarked
package io.otaflux.samples.platform;

import org.jspecify.annotations.NullMarked;
