/**
 * The device side of the Alibaba Cloud IoT protocol: {@link io.otaflux.transport.aliyun.AliyunDevice} holds the MQTT
 * connection and gives the {@link io.otaflux.UpgradeChannel} over it; {@link io.otaflux.transport.aliyun.Device} is the
 * same thing for programs that were written against the original {@code aliyunIoT} module.
 */
@NullMarked
package io.otaflux.transport.aliyun;

import org.jspecify.annotations.NullMarked;
