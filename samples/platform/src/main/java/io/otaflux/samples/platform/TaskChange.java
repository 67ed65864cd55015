package io.otaflux.samples.platform;

import org.jspecify.annotations.Nullable;

/**
 * A task that was created or has changed. It is published after the change is on disk.
 *
 * @param before the task before the change, or null if it is new
 * @param task the task now
 */
public record TaskChange(@Nullable Task before, Task task) implements PlatformEvent {}
