package io.otaflux.samples.platform;

import org.jspecify.annotations.Nullable;

/**
 * Dynamic registration: a device proves that it has its product's secret and is given its own. Only devices that the platform
 * knows by name, of products that have it switched on, and only until the device has logged in for the first time.
 */
final class Registration {

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

    /** The device that may be given its secret, for who signed {@code deviceName…productKey…random…} with the product's. */
    RegisteredDevice check(
            DeviceKey key, @Nullable String random, @Nullable String signMethod, @Nullable String signature) {
        if (random == null || signature == null || signMethod == null) {
            throw new DeviceRefusedException(BAD_PARAMETERS, "random, signMethod or sign is missing");
        }
        // An old SDK's document spells it hmac_md5.
        String method = signMethod.replace("_", "");
        if (!DeviceAuthenticator.isMethod(method)) {
            throw new DeviceRefusedException(BAD_METHOD, "invalid sign method");
        }
        RegisteredProduct product = requireSwitchedOn(key.productKey());
        String text = "deviceName" + key.deviceName() + "productKey" + key.productKey() + "random" + random;
        if (!DeviceAuthenticator.isSigned(method, product.secret(), text, signature)) {
            throw new DeviceRefusedException(BAD_SIGNATURE, "invalid sign");
        }
        RegisteredDevice device = requireDevice(key);
        if (device.activated()) {
            throw new DeviceRefusedException(ACTIVE, "device is already active");
        }
        return device;
    }

    /**
     * The device that a gateway may be given the secret of. One that is active may be asked for again as a sub-device,
     * since gateways do so after each restart, but not one that logs in by itself.
     */
    RegisteredDevice checkSubDevice(DeviceKey key) {
        requireSwitchedOn(key.productKey());
        RegisteredDevice device = requireDevice(key);
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

    private RegisteredDevice requireDevice(DeviceKey key) {
        RegisteredDevice device = state.device(key);
        if (device == null || device.disabled()) {
            throw new DeviceRefusedException(NO_DEVICE, "device not found");
        }
        return device;
    }
}
