package io.otaflux.samples.platform;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Gateways and the devices behind them: who belongs to whom (kept in {@link PlatformState}) and who is logged in through whom
 * (kept while the gateway's connection lives).
 *
 * <p>Used on the state's thread, but for {@link #gatewayOf}. What gateways are to be told is left in {@link #takeNotices()}. A
 * request is done as a whole or refused as a whole.
 */
final class SubDevices {

    static final int MAX_ONLINE = 2_000;
    private static final int MAX_TOPOLOGY = 2_000;
    private static final int MAX_BATCH = 50;
    private static final int MAX_REGISTER = 30;
    private static final int LOGINS_PER_SECOND = 200;
    private static final int LOGINS_AT_ONCE = 2 * LOGINS_PER_SECOND;
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private static final int OK = 200;
    private static final int BAD_PARAMETERS = 460;
    private static final int TOO_FREQUENT = 429;
    private static final int TOO_MANY_ONLINE = 428;
    private static final int CONNECTED_ELSEWHERE = 427;
    private static final int NO_SESSION = 520;
    private static final int DELETED = 521;
    private static final int DISABLED_NOW = 522;
    private static final int NO_DEVICE = 6100;
    private static final int DISABLED = 6204;
    private static final int BAD_SIGNATURE = 6287;
    private static final int BAD_TOPOLOGY_SIGNATURE = 401;
    private static final int NOT_IN_TOPOLOGY = 6401;
    private static final int TOPOLOGY_FULL = 6400;
    private static final int IS_ITSELF = 6402;
    private static final int BOUND_ELSEWHERE = 6619;

    private static final int TOPOLOGY_CREATED = 0;
    private static final int TOPOLOGY_DELETED = 1;
    private static final int TOPOLOGY_ENABLED = 2;
    private static final int TOPOLOGY_DISABLED = 8;

    private final PlatformState state;
    private final Jobs jobs;
    private final Registration registration;
    private final Predicate<DeviceKey> connected;
    private final Consumer<DeviceKey> disconnect;
    private final BiConsumer<DeviceKey, Boolean> present;
    private final Map<DeviceKey, DeviceKey> sessions = new ConcurrentHashMap<>();
    private final Map<DeviceKey, Gateway> gateways = new HashMap<>();
    private List<Notice> notices = new ArrayList<>();
    private long lastId;

    /**
     * @param connected whether a device has a connection of its own
     * @param disconnect ends a device's own connection
     * @param present hears whether a device that is behind a gateway can be reached
     */
    SubDevices(
            PlatformState state,
            Jobs jobs,
            Registration registration,
            Predicate<DeviceKey> connected,
            Consumer<DeviceKey> disconnect,
            BiConsumer<DeviceKey, Boolean> present) {
        this.state = state;
        this.jobs = jobs;
        this.registration = registration;
        this.connected = connected;
        this.disconnect = disconnect;
        this.present = present;
    }

    /** Something to publish over a device's connection, on a topic that may be another's; never compared. */
    @SuppressWarnings("ArrayRecordComponent")
    record Notice(DeviceKey connection, String topic, byte[] payload) {}

    /** The sessions that live on one connection, and how many logins it may still make. */
    private static final class Gateway {
        final Set<DeviceKey> online = new LinkedHashSet<>();
        final Allowance logins = new Allowance(LOGINS_AT_ONCE, LOGINS_PER_SECOND);
    }

    /** The gateway through which a device is logged in, or null. On any thread. */
    @Nullable
    DeviceKey gatewayOf(DeviceKey device) {
        return sessions.get(device);
    }

    /** What to tell whom, in the order in which that was decided, since the last call. */
    List<Notice> takeNotices() {
        List<Notice> taken = notices;
        notices = new ArrayList<>();
        return taken;
    }

    /** Does what a gateway asks for, and answers. */
    byte[] requested(DeviceKey gateway, DeviceTopics.Kind kind, DeviceMessages.Request request, Instant now) {
        try {
            if (sessions.containsKey(gateway)) {
                throw new DeviceRefusedException(BAD_PARAMETERS, "a sub-device has no sub-devices");
            }
            JsonNode data = answer(gateway, kind, request.params(), now);
            return DeviceMessages.reply(request.id(), OK, data, "success");
        } catch (DeviceRefusedException refused) {
            return DeviceMessages.refusal(request.id(), refused);
        }
    }

    private JsonNode answer(DeviceKey gateway, DeviceTopics.Kind kind, JsonNode params, Instant now) {
        return switch (kind) {
            case TOPO_ADD -> add(gateway, params);
            case TOPO_DELETE -> delete(gateway, params);
            case TOPO_GET -> names(state.subDevices(gateway));
            case LIST_FOUND -> found(params);
            case SUB_REGISTER -> register(gateway, params);
            case SUB_UNREGISTER -> unregister(gateway, params);
            case PRODUCT_REGISTER -> productRegister(gateway, params, now);
            case LOGIN -> {
                logIn(gateway, List.of(Login.of(object(params), null)), now);
                yield DeviceMessages.name(key(params));
            }
            case BATCH_LOGIN -> {
                List<Login> logins = new ArrayList<>();
                for (JsonNode element : list(params.path("deviceList"), MAX_BATCH)) {
                    logins.add(Login.of(element, DeviceMessages.text(params, "signMethod")));
                }
                logIn(gateway, logins, now);
                yield names(logins.stream().map(Login::device).toList());
            }
            case LOGOUT -> logOut(gateway, List.of(key(object(params)))).get(0);
            case BATCH_LOGOUT -> logOut(gateway, keys(params, MAX_BATCH));
            default -> throw new IllegalArgumentException(kind + " is not for gateways");
        };
    }

    /** A proof that the gateway has the secret of a sub-device. The whole client id is signed, whatever is in it. */
    private record Login(DeviceKey device, String text, String method, String signature) {

        static Login of(JsonNode element, @Nullable String commonMethod) {
            DeviceKey device = key(element);
            String clientId = DeviceMessages.text(element, "clientId");
            String timestamp = DeviceMessages.text(element, "timestamp");
            String signature = DeviceMessages.text(element, "sign");
            String method = DeviceMessages.text(element, "signMethod");
            if (method == null) {
                method = DeviceMessages.text(element, "signmethod");
            }
            if (method == null) {
                method = commonMethod;
            }
            if (clientId == null || signature == null || method == null || !DeviceAuthenticator.isMethod(method)) {
                throw new DeviceRefusedException(BAD_PARAMETERS, "clientId, sign or a known signMethod is missing");
            }
            String text = DeviceAuthenticator.signedText(clientId, device, timestamp);
            return new Login(device, text, method, signature);
        }

        RegisteredDevice check(PlatformState state, int badSignature) {
            RegisteredDevice known = state.device(device);
            // The signature first: who does not have the secret is not told more than that.
            boolean signed =
                    DeviceAuthenticator.isSigned(method, known == null ? null : known.deviceSecret(), text, signature);
            if (known == null) {
                throw new DeviceRefusedException(NO_DEVICE, "device not found: " + device);
            }
            if (!signed) {
                throw new DeviceRefusedException(badSignature, "invalid sign: " + device);
            }
            if (known.disabled()) {
                throw new DeviceRefusedException(DISABLED, "device forbidden: " + device);
            }
            return known;
        }
    }

    private JsonNode add(DeviceKey gateway, JsonNode params) {
        List<RegisteredDevice> fresh = new ArrayList<>();
        Set<DeviceKey> seen = new LinkedHashSet<>();
        for (JsonNode element : list(params, MAX_TOPOLOGY)) {
            Login login = Login.of(element, null);
            RegisteredDevice device = checkNewcomer(gateway, login.device(), login);
            if (device.gateway() == null && seen.add(device.key())) {
                fresh.add(device);
            }
        }
        if (state.subDeviceCount(gateway) + fresh.size() > MAX_TOPOLOGY) {
            throw new DeviceRefusedException(TOPOLOGY_FULL, "more than " + MAX_TOPOLOGY + " sub-devices");
        }
        fresh.forEach(device -> state.put(device.below(gateway)));
        return JSON.objectNode();
    }

    private RegisteredDevice checkNewcomer(DeviceKey gateway, DeviceKey key, @Nullable Login login) {
        if (key.equals(gateway)) {
            throw new DeviceRefusedException(IS_ITSELF, "a gateway is not its own sub-device");
        }
        RegisteredDevice device = login == null ? state.device(key) : login.check(state, BAD_TOPOLOGY_SIGNATURE);
        if (device == null) {
            throw new DeviceRefusedException(NO_DEVICE, "device not found: " + key);
        }
        if (device.gateway() != null && !device.gateway().equals(gateway)) {
            throw new DeviceRefusedException(BOUND_ELSEWHERE, "bound to another gateway: " + key);
        }
        return device;
    }

    private JsonNode delete(DeviceKey gateway, JsonNode params) {
        List<DeviceKey> keys = keys(params, MAX_TOPOLOGY);
        keys.forEach(key -> requireBelow(gateway, key));
        keys.forEach(key -> leaveTopology(gateway, key));
        return JSON.objectNode();
    }

    private RegisteredDevice requireBelow(DeviceKey gateway, DeviceKey key) {
        RegisteredDevice device = state.device(key);
        if (device == null) {
            throw new DeviceRefusedException(NO_DEVICE, "device not found: " + key);
        }
        if (!gateway.equals(device.gateway())) {
            throw new DeviceRefusedException(NOT_IN_TOPOLOGY, "not in the topology: " + key);
        }
        return device;
    }

    private void leaveTopology(DeviceKey gateway, DeviceKey key) {
        RegisteredDevice device = state.device(key);
        if (device != null && gateway.equals(device.gateway())) {
            endSession(key);
            state.put(device.below(null));
        }
    }

    /** What a gateway has found is for an application to decide about; here it only has to be well-formed. */
    private static JsonNode found(JsonNode params) {
        keys(params, MAX_TOPOLOGY);
        return JSON.objectNode();
    }

    private JsonNode register(DeviceKey gateway, JsonNode params) {
        List<RegisteredDevice> devices = new ArrayList<>();
        for (DeviceKey key : keys(params, MAX_REGISTER)) {
            RegisteredDevice device = registration.checkSubDevice(key);
            if (device.gateway() != null && !device.gateway().equals(gateway)) {
                throw new DeviceRefusedException(BOUND_ELSEWHERE, "bound to another gateway: " + key);
            }
            devices.add(device);
        }
        ArrayNode data = JSON.arrayNode();
        devices.forEach(device -> data.add(secret(device)));
        return data;
    }

    /** Registration with the product's secret also makes the sub-device one of this gateway's. */
    private JsonNode productRegister(DeviceKey gateway, JsonNode params, Instant now) {
        ArrayNode successes = JSON.arrayNode();
        ArrayNode failures = JSON.arrayNode();
        for (JsonNode element : list(params.path("proxieds"), MAX_REGISTER)) {
            DeviceKey key = key(element);
            try {
                checkNewcomer(gateway, key, null);
                RegisteredDevice device = registration.register(
                        new Registration.Claim(
                                key,
                                DeviceMessages.text(element, "random"),
                                DeviceMessages.text(element, "signMethod"),
                                DeviceMessages.text(element, "sign"),
                                false),
                        now);
                if (device.gateway() == null) {
                    if (state.subDeviceCount(gateway) >= MAX_TOPOLOGY) {
                        throw new DeviceRefusedException(TOPOLOGY_FULL, "more than " + MAX_TOPOLOGY + " sub-devices");
                    }
                    state.put(device.below(gateway));
                }
                successes.add(secret(device));
            } catch (DeviceRefusedException refused) {
                ObjectNode failure = DeviceMessages.name(key);
                failure.put("code", refused.code());
                failure.put("errorMessage", refused.why());
                failures.add(failure);
            }
        }
        ObjectNode data = JSON.objectNode();
        data.set("failures", failures);
        data.set("successes", successes);
        return data;
    }

    private static ObjectNode secret(RegisteredDevice device) {
        ObjectNode data = JSON.objectNode();
        data.put("iotId", device.key().toString());
        data.put("productKey", device.productKey());
        data.put("deviceName", device.deviceName());
        data.put("deviceSecret", device.deviceSecret());
        return data;
    }

    /** Takes back a registration: the sub-device leaves the topology and may be registered anew. */
    private JsonNode unregister(DeviceKey gateway, JsonNode params) {
        List<DeviceKey> keys = keys(params, MAX_REGISTER);
        keys.forEach(key -> requireBelow(gateway, key));
        for (DeviceKey key : keys) {
            leaveTopology(gateway, key);
            RegisteredDevice device = state.device(key);
            if (device != null && device.activated()) {
                state.put(device.asActivated(false));
            }
        }
        return JSON.objectNode();
    }

    private void logIn(DeviceKey gateway, List<Login> logins, Instant now) {
        if (!connected.test(gateway)) {
            throw new DeviceRefusedException(NO_SESSION, "the gateway is not connected");
        }
        Gateway sessionsOfIt = gateways.computeIfAbsent(gateway, key -> new Gateway());
        if (!sessionsOfIt.logins.take(logins.size(), now)) {
            throw new DeviceRefusedException(TOO_FREQUENT, "more than " + LOGINS_PER_SECOND + " logins a second");
        }
        Set<DeviceKey> fresh = new LinkedHashSet<>();
        for (Login login : logins) {
            RegisteredDevice device = login.check(state, BAD_SIGNATURE);
            if (!gateway.equals(device.gateway())) {
                throw new DeviceRefusedException(NOT_IN_TOPOLOGY, "not in the topology: " + device.key());
            }
            if (!sessionsOfIt.online.contains(device.key())) {
                fresh.add(device.key());
            }
        }
        if (sessionsOfIt.online.size() + fresh.size() > MAX_ONLINE) {
            throw new DeviceRefusedException(TOO_MANY_ONLINE, "more than " + MAX_ONLINE + " sub-devices online");
        }
        for (Login login : logins) {
            DeviceKey device = login.device();
            endSessionElsewhere(gateway, device);
            sessions.put(device, gateway);
            sessionsOfIt.online.add(device);
            RegisteredDevice known = state.device(device);
            if (known != null && !known.activated()) {
                state.put(known.asActivated(true));
            }
            present.accept(device, true);
            jobs.startedListening(device, now);
        }
    }

    private void endSessionElsewhere(DeviceKey gateway, DeviceKey device) {
        DeviceKey earlier = sessions.get(device);
        if (earlier != null && !earlier.equals(gateway)) {
            kick(device, CONNECTED_ELSEWHERE, "device connect in elsewhere");
        }
        if (connected.test(device)) {
            disconnect.accept(device);
        }
    }

    private ArrayNode logOut(DeviceKey gateway, List<DeviceKey> keys) {
        for (DeviceKey key : keys) {
            if (!gateway.equals(sessions.get(key))) {
                throw new DeviceRefusedException(NO_SESSION, "device session error: " + key);
            }
        }
        keys.forEach(this::endSession);
        return names(keys);
    }

    /** A device has a connection of its own now: sessions of an earlier one, or through a gateway, are over. */
    void connected(DeviceKey device) {
        endSessionsOf(device);
        if (sessions.containsKey(device)) {
            kick(device, CONNECTED_ELSEWHERE, "device connect in elsewhere");
        }
        RegisteredDevice known = state.device(device);
        if (known == null || known.disabled()) {
            // It was shut out between the check of its login and now.
            disconnect.accept(device);
        } else if (!known.activated()) {
            state.put(known.asActivated(true));
        }
    }

    /** A device's own connection is gone, and with it all sessions on it. */
    void disconnected(DeviceKey device) {
        endSessionsOf(device);
    }

    /** A message on a topic of another device was refused; its gateway is told so, but nobody else. */
    void refused(DeviceKey connection, DeviceKey device) {
        RegisteredDevice known = state.device(device);
        if (known != null && connection.equals(known.gateway()) && !connection.equals(sessions.get(device))) {
            tellError(connection, device, NO_SESSION, "device session error");
        }
    }

    /** Puts a device below a gateway in place of the gateway's own request, and tells it. */
    void link(DeviceKey gateway, DeviceKey key) {
        jobs.requireDevice(gateway);
        jobs.requireDevice(key);
        try {
            RegisteredDevice device = checkNewcomer(gateway, key, null);
            if (device.gateway() == null) {
                if (state.subDeviceCount(gateway) >= MAX_TOPOLOGY) {
                    throw RequestRefusedException.conflict("gateway '" + gateway + "' has " + MAX_TOPOLOGY
                            + " sub-devices, which is as many as it can have");
                }
                state.put(device.below(gateway));
                tellChange(gateway, key, TOPOLOGY_CREATED);
            }
        } catch (DeviceRefusedException refused) {
            throw RequestRefusedException.conflict(refused.why());
        }
    }

    /** Takes a device out of a gateway's topology, ends its session, and tells the gateway. */
    void unlink(DeviceKey gateway, DeviceKey key) {
        RegisteredDevice device = jobs.requireDevice(key);
        if (!gateway.equals(device.gateway())) {
            throw RequestRefusedException.notFound("sub-device of " + gateway, key.toString());
        }
        if (gateway.equals(sessions.get(key))) {
            kick(key, NOT_IN_TOPOLOGY, "topology deleted");
        }
        state.put(device.below(null));
        tellChange(gateway, key, TOPOLOGY_DELETED);
    }

    /** Asks a gateway to add a device. */
    void invite(DeviceKey gateway, DeviceKey key) {
        jobs.requireDevice(gateway);
        jobs.requireDevice(key);
        tell(
                gateway,
                DeviceTopics.system(gateway, "thing/topo/add/notify"),
                "thing.topo.add.notify",
                names(List.of(key)));
    }

    /** Shuts a device out, or lets it in again; a sub-device's gateway is told. */
    void disable(DeviceKey key, boolean disabled) {
        RegisteredDevice device = jobs.requireDevice(key);
        if (device.disabled() == disabled) {
            return;
        }
        state.put(device.asDisabled(disabled));
        tellSubDevice(device, disabled ? "disable" : "enable");
        if (disabled) {
            end(key, DISABLED_NOW, "device forbidden");
        }
        if (device.gateway() != null) {
            tellChange(device.gateway(), key, disabled ? TOPOLOGY_DISABLED : TOPOLOGY_ENABLED);
        }
    }

    /** Forgets a device, and whom it had below it. */
    void delete(DeviceKey key, Instant now) {
        RegisteredDevice device = jobs.requireDevice(key);
        tellSubDevice(device, "delete");
        end(key, DELETED, "device deleted");
        for (DeviceKey below : state.subDevices(key)) {
            leaveTopology(key, below);
        }
        jobs.deleteDevice(key, now);
    }

    private void end(DeviceKey device, int code, String why) {
        if (sessions.containsKey(device)) {
            kick(device, code, why);
        }
        if (connected.test(device)) {
            disconnect.accept(device);
        }
    }

    private void kick(DeviceKey device, int code, String why) {
        DeviceKey gateway = sessions.get(device);
        endSession(device);
        if (gateway != null) {
            tellError(gateway, device, code, why);
        }
    }

    private void endSession(DeviceKey device) {
        DeviceKey gateway = sessions.remove(device);
        if (gateway != null) {
            Optional.ofNullable(gateways.get(gateway)).ifPresent(it -> it.online.remove(device));
            left(device);
        }
    }

    private void left(DeviceKey device) {
        jobs.stoppedListening(device);
        present.accept(device, connected.test(device));
    }

    private void endSessionsOf(DeviceKey gateway) {
        Gateway gone = gateways.remove(gateway);
        if (gone != null) {
            for (DeviceKey device : gone.online) {
                sessions.remove(device);
                left(device);
            }
        }
    }

    private void tellError(DeviceKey gateway, DeviceKey device, int code, String why) {
        JsonNode id = JSON.textNode(Long.toString(++lastId));
        notices.add(new Notice(
                gateway,
                DeviceTopics.error(gateway),
                DeviceMessages.reply(id, code, DeviceMessages.name(device), why)));
    }

    private void tellSubDevice(RegisteredDevice device, String what) {
        DeviceKey gateway = device.gateway();
        if (gateway != null) {
            tell(gateway, DeviceTopics.system(device.key(), "thing/" + what), "thing." + what, JSON.objectNode());
        }
    }

    private void tellChange(DeviceKey gateway, DeviceKey device, int status) {
        ObjectNode params = JSON.objectNode();
        params.put("status", status);
        params.set("subList", names(List.of(device)));
        tell(gateway, DeviceTopics.system(gateway, "thing/topo/change"), "thing.topo.change", params);
    }

    private void tell(DeviceKey gateway, String topic, String method, JsonNode params) {
        if (connected.test(gateway)) {
            notices.add(new Notice(gateway, topic, DeviceMessages.request(++lastId, method, params)));
        }
    }

    private static ArrayNode names(List<DeviceKey> devices) {
        ArrayNode names = JSON.arrayNode();
        devices.forEach(device -> names.add(DeviceMessages.name(device)));
        return names;
    }

    private static JsonNode object(JsonNode params) {
        if (!params.isObject()) {
            throw new DeviceRefusedException(BAD_PARAMETERS, "params is not an object");
        }
        return params;
    }

    private static JsonNode list(JsonNode params, int max) {
        if (!params.isArray() || params.isEmpty() || params.size() > max) {
            throw new DeviceRefusedException(BAD_PARAMETERS, "not a list of 1 to " + max + " devices");
        }
        return params;
    }

    private static List<DeviceKey> keys(JsonNode params, int max) {
        List<DeviceKey> keys = new ArrayList<>();
        list(params, max).forEach(element -> keys.add(key(element)));
        return keys;
    }

    private static DeviceKey key(JsonNode element) {
        String productKey = DeviceMessages.text(element, "productKey");
        String deviceName = DeviceMessages.text(element, "deviceName");
        if (productKey == null || deviceName == null || !Limits.isName(productKey) || !Limits.isName(deviceName)) {
            throw new DeviceRefusedException(BAD_PARAMETERS, "productKey or deviceName is missing or malformed");
        }
        return new DeviceKey(productKey, deviceName);
    }
}
