package io.otaflux.samples.platform;

/** A package was deleted. */
record PackageRemoved(String id) implements PlatformEvent {}
