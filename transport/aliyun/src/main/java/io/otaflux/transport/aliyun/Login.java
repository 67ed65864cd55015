package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;
import org.jspecify.annotations.Nullable;

/**
 * The three fields of CONNECT by which a device proves who it is. With a secret of its own ("one secret per device"):
 *
 * <pre>
 * client identifier  {id}|securemode={2 TLS, 3 plain},signmethod={m},timestamp={t}|
 * user name          {deviceName}&amp;{productKey}
 * password           hex(HMAC({deviceSecret}, "clientId"{id}"deviceName"{dn}"productKey"{pk}["timestamp"{t}]))
 * </pre>
 *
 * Only the part of the client identifier before the first bar is signed.
 *
 * @param lasting whether the broker keeps a session for it
 */
record Login(String clientIdentifier, String userName, Secret password, boolean lasting) {

    /**
     * What the vendor's C SDK sends as its time: a constant. The platforms do not check that it is fresh, and a client
     * identifier that is always the same is what lets a broker find the session again.
     */
    static final String TIMESTAMP = "2524608000000";

    private static final Secret NONE = new Secret("");

    static Login of(Credentials credentials, String id, SignMethod method, boolean tls) {
        DeviceId device = credentials.device();
        String user = userName(device.product(), device.name());
        if (credentials instanceof Credentials.DeviceToken token) {
            return new Login(
                    token.clientId() + "|authType=connwl,securemode=-2|", user, new Secret(token.deviceToken()), true);
        }
        if (credentials instanceof Credentials.DeviceSecret secret) {
            return of(device, new Secret(secret.deviceSecret()), id, method, tls);
        }
        return new Login(certified(id), user, NONE, true);
    }

    static Login of(DeviceId device, Secret deviceSecret, String id, SignMethod method, boolean tls) {
        return new Login(
                id + "|securemode=" + (tls ? 2 : 3) + ",signmethod=" + method.wireName() + ",timestamp=" + TIMESTAMP
                        + "|",
                userName(device.product(), device.name()),
                sign(device, deviceSecret, id, method, TIMESTAMP),
                true);
    }

    /** The login of a device that has a certificate and does not know yet who it is; the platform tells it. */
    static Login anonymous() {
        return new Login(certified("."), userName("", ""), NONE, false);
    }

    /**
     * The login by which a product's secret registers a device.
     *
     * @param type {@code register} for a device that the platform knows, {@code regnwl} for any
     * @param random anything, another one each time
     * @param instanceId where the product is; null on the public instance
     */
    static Login registering(
            DeviceId device,
            Secret productSecret,
            String type,
            String random,
            SignMethod method,
            @Nullable String instanceId) {
        return new Login(
                device.name() + "." + device.product() + "|random=" + random + ",authType=" + type
                        + ",securemode=2,signmethod=" + method.wireName()
                        + (instanceId == null ? "" : ",instanceId=" + instanceId) + "|",
                userName(device.product(), device.name()),
                signRegistration(device, productSecret, random, method),
                false);
    }

    static Secret sign(DeviceId device, Secret deviceSecret, String id, SignMethod method, @Nullable String timestamp) {
        String content = "clientId" + id + "deviceName" + device.name() + "productKey" + device.product()
                + (timestamp == null ? "" : "timestamp" + timestamp);
        return method.sign(deviceSecret, content);
    }

    static Secret signRegistration(DeviceId device, Secret productSecret, String random, SignMethod method) {
        return method.sign(
                productSecret, "deviceName" + device.name() + "productKey" + device.product() + "random" + random);
    }

    private static String certified(String id) {
        return id + "|securemode=2,signmethod=" + SignMethod.HMAC_SHA1.wireName() + ",timestamp=" + TIMESTAMP + "|";
    }

    private static String userName(String product, String name) {
        return name + "&" + product;
    }
}
