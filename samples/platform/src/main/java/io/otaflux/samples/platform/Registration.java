package io.otaflux.samples.platform;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * Dynamic registration: a device proves that it has its product's secret and is given its own. Only for products that have it
 * switched on, only until the device has logged in for the first time, and, but for {@code regnwl}, only for devices that the
 * platform knows by name. On the state's thread.
 */
final class Registration {

    private static final int SECRET_BYTES = 16;
    private static final int BAD_PARAMETERS = 460;
    private static final int NO_DEVICE = 6100;
    private static final int NO_PRODUCT = 6250;
    private static final int SWITCHED_OFF = 6288;
    private static final int ACTIVE = 6289;
    private static final int BAD_METHOD = 6292;
    private static final int BAD_SIGNATURE = 6600;

    private final PlatformState state;

    Registration(PlatformState state) {
        this.state = state;
    }

    /**
     * Who wants to register, with the proof.
     *
     * @param signature hex HMAC with the product's secret of {@code deviceName…productKey…random…}
     * @param unlisted whether the device need not be known before, and is given a token in place of a secret
     */
    record Claim(
            DeviceKey device,
            @Nullable String random,
            @Nullable String signMethod,
            @Nullable String signature,
            boolean unlisted) {

        @Override
        public String toString() {
            return "Claim[" + device + ", unlisted=" + unlisted + "]";
        }
    }

    /**
     * The device that may be given its secret, or, if it is unlisted, its token.
     *
     * @throws DeviceRefusedException if it may not
     */
    RegisteredDevice register(Claim claim, Instant now) {
        checkSigned(claim);
        RegisteredDevice known = state.device(claim.device());
        if (known == null && !claim.unlisted()) {
            throw new DeviceRefusedException(NO_DEVICE, "device not found");
        }
        RegisteredDevice device =
                known == null ? RegisteredDevice.of(claim.device(), DurableFiles.randomHex(SECRET_BYTES), now) : known;
        if (device.disabled()) {
            throw new DeviceRefusedException(NO_DEVICE, "device not found");
        }
        if (device.activated()) {
            throw new DeviceRefusedException(ACTIVE, "device is already active");
        }
        if (claim.unlisted()) {
            device = device.withToken(DurableFiles.randomHex(SECRET_BYTES));
            state.put(device);
        }
        return device;
    }

    private void checkSigned(Claim claim) {
        if (claim.random() == null || claim.signature() == null || claim.signMethod() == null) {
            throw new DeviceRefusedException(BAD_PARAMETERS, "random, signMethod or sign is missing");
        }
        // An old SDK's document spells it hmac_md5.
        String method = claim.signMethod().replace("_", "");
        if (!DeviceAuthenticator.isMethod(method)) {
            throw new DeviceRefusedException(BAD_METHOD, "invalid sign method");
        }
        DeviceKey key = claim.device();
        RegisteredProduct product = requireSwitchedOn(key.productKey());
        String text = "deviceName" + key.deviceName() + "productKey" + key.productKey() + "random" + claim.random();
        if (!DeviceAuthenticator.isSigned(method, product.secret(), text, claim.signature())) {
            throw new DeviceRefusedException(BAD_SIGNATURE, "invalid sign");
        }
    }

    /**
     * The device that a gateway may be given the secret of. One that is active may be asked for again as a sub-device,
     * since gateways do so after each restart, but not one that logs in by itself.
     */
    RegisteredDevice checkSubDevice(DeviceKey key) {
        requireSwitchedOn(key.productKey());
        RegisteredDevice device = state.device(key);
        if (device == null || device.disabled()) {
            throw new DeviceRefusedException(NO_DEVICE, "device not found");
        }
        if (device.activated() && device.gateway() == null) {
            throw new DeviceRefusedException(ACTIVE, "device is already active");
        }
        return device;
    }

    private RegisteredProduct requireSwitchedOn(String productKey) {
        RegisteredProduct product = state.product(productKey);
        if (product == null) {
            throw new DeviceRefusedException(NO_PRODUCT, "product not found");
        }
        if (!product.dynamicRegistration()) {
            throw new DeviceRefusedException(SWITCHED_OFF, "dynamic registration is switched off");
        }
        return product;
    }
}
