package io.otaflux.samples.platform;

/** A device was deleted. */
record DeviceRemoved(String productKey, String deviceName) implements PlatformEvent {}
