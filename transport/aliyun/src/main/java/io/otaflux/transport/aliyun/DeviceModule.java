package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;

/** What has a version of its own and is upgraded by itself. */
record DeviceModule(DeviceId device, String module) {}
