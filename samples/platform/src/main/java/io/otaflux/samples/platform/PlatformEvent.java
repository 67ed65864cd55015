package io.otaflux.samples.platform;

/** Something that applications and the page hear of once it is on disk. */
sealed interface PlatformEvent
        permits TaskChange, Job, PackageView, PackageRemoved, ApplicationMessage, Device, DeviceRemoved, Product {}
