package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;
import org.jspecify.annotations.Nullable;

/**
 * The three fields of CONNECT by which a device proves who it is ("one secret per device").
 *
 * <pre>
 * client identifier  {id}|securemode={2 TLS, 3 plain},signmethod={m},timestamp={t}|
 * user name          {deviceName}&amp;{productKey}
 * password           hex(HMAC({deviceSecret}, "clientId"{id}"deviceName"{dn}"productKey"{pk}["timestamp"{t}]))
 * </pre>
 *
 * Only the part of the client identifier before the first bar is signed.
 */
record Login(String clientIdentifier, String userName, Secret password) {

    /**
     * What the vendor's C SDK sends as its time: a constant. The platforms do not check that it is fresh, and a client
     * identifier that is always the same is what lets a broker find the session again.
     */
    static final String TIMESTAMP = "2524608000000";

    static Login of(DeviceId device, Secret deviceSecret, String id, SignMethod method, boolean tls) {
        return new Login(
                id + "|securemode=" + (tls ? 2 : 3) + ",signmethod=" + method.wireName() + ",timestamp=" + TIMESTAMP
                        + "|",
                device.name() + "&" + device.product(),
                sign(device, deviceSecret, id, method, TIMESTAMP));
    }

    static Secret sign(DeviceId device, Secret deviceSecret, String id, SignMethod method, @Nullable String timestamp) {
        String content = "clientId" + id + "deviceName" + device.name() + "productKey" + device.product()
                + (timestamp == null ? "" : "timestamp" + timestamp);
        return method.sign(deviceSecret, content);
    }
}
