package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.otaflux.DeviceId;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * What a gateway's requests have in {@code params}, and its answers in {@code data}. The documents spell the name of the
 * signature's method {@code signmethod} in one request and {@code signMethod} in the others, and so it is here.
 */
final class GatewayMessages {

    private static final Logger log = Loggers.getLogger(GatewayMessages.class);

    private static final SignMethod METHOD = SignMethod.HMAC_SHA256;
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private GatewayMessages() {}

    /** Devices by name. */
    static ArrayNode names(Collection<DeviceId> devices) {
        ArrayNode names = JSON.arrayNode();
        devices.forEach(device -> name(names.addObject(), device));
        return names;
    }

    /** {@code topo/add}. */
    static ArrayNode add(Collection<SubDevice> devices) {
        ArrayNode added = JSON.arrayNode();
        devices.forEach(device -> {
            ObjectNode one = clientId(name(added.addObject(), device.id()), device);
            one.put("signmethod", METHOD.gatewayName()).put("sign", sign(device));
        });
        return added;
    }

    /** {@code combine/login}. */
    static ObjectNode login(SubDevice device) {
        return clientId(name(JSON.objectNode(), device.id()), device)
                .put("signMethod", METHOD.gatewayName())
                .put("sign", sign(device))
                .put("cleanSession", "false");
    }

    /** {@code combine/batch_login}. */
    static ObjectNode batchLogin(Collection<SubDevice> devices) {
        ObjectNode params = JSON.objectNode().put("signMethod", METHOD.gatewayName());
        ArrayNode list = params.putArray("deviceList");
        devices.forEach(device -> clientId(name(list.addObject(), device.id()), device)
                .put("cleanSession", "false")
                .put("sign", sign(device)));
        return params;
    }

    /** {@code proxy/provisioning/product_register}: proved by the secret of the devices' product. */
    static ObjectNode proxied(Secret productSecret, Collection<DeviceId> devices, String random) {
        ObjectNode params = JSON.objectNode();
        ArrayNode proxieds = params.putArray("proxieds");
        devices.forEach(device -> name(proxieds.addObject(), device)
                .put("random", random)
                .put("signMethod", METHOD.gatewayName())
                .put("sign", signRegistration(device, productSecret, random, METHOD)));
        return params;
    }

    static String signRegistration(DeviceId device, Secret productSecret, String random, SignMethod method) {
        return method.sign(
                        productSecret,
                        "deviceName" + device.name() + "productKey" + device.product() + "random" + random)
                .value();
    }

    /** Reads a list of devices, or one alone; what is none is left out. */
    static List<DeviceId> readDevices(JsonNode node) {
        List<DeviceId> devices = new ArrayList<>();
        for (JsonNode one : node.isArray() ? node : JSON.arrayNode().add(node)) {
            try {
                devices.add(new DeviceId(
                        one.path("productKey").asText(), one.path("deviceName").asText()));
            } catch (IllegalArgumentException noDevice) {
                log.debug("Left out what names no device");
            }
        }
        return devices;
    }

    /** Reads the answer to a registration: devices with their secrets; what has none is left out. */
    static List<SubDevice> readRegistered(JsonNode data) {
        JsonNode list = data.isArray() ? data : data.path("proxieds");
        if (!list.isArray()) {
            list = data.path("successes");
        }
        List<SubDevice> devices = new ArrayList<>();
        for (JsonNode one : list) {
            try {
                devices.add(new SubDevice(
                        one.path("productKey").asText(),
                        one.path("deviceName").asText(),
                        one.path("deviceSecret").asText()));
            } catch (IllegalArgumentException incomplete) {
                log.debug("Left out a registration without a name or a secret");
            }
        }
        return devices;
    }

    private static ObjectNode name(ObjectNode node, DeviceId device) {
        return node.put("productKey", device.product()).put("deviceName", device.name());
    }

    private static ObjectNode clientId(ObjectNode node, SubDevice device) {
        return node.put("clientId", clientId(device)).put("timestamp", Login.TIMESTAMP);
    }

    private static String clientId(SubDevice device) {
        return device.productKey() + "." + device.deviceName();
    }

    /** Unlike a device that connects by itself, it signs the whole client identifier. */
    private static String sign(SubDevice device) {
        return Login.sign(device.id(), new Secret(device.deviceSecret()), clientId(device), METHOD, Login.TIMESTAMP)
                .value();
    }
}
