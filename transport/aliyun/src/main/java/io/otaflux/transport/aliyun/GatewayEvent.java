package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;
import java.util.List;

/** What the platform says about the devices behind a gateway. */
public sealed interface GatewayEvent {

    /** A sub-device has a session: its upgrades come, and its reports go out. Again after each reconnect. */
    record LoggedIn(DeviceId device) implements GatewayEvent {}

    /**
     * A sub-device has no session, or no longer has one. With {@link GatewayException.Refusal#LOGGED_IN_ELSEWHERE},
     * {@link GatewayException.Refusal#DELETED} and {@link GatewayException.Refusal#LOGGED_OUT} the gateway leaves it at
     * that; with {@link GatewayException.Refusal#NO_SESSION} it logs the device in again at once, and with all others when
     * the platform enables the device, and after the next reconnect.
     */
    record LoginRefused(DeviceId device, GatewayException cause) implements GatewayEvent {}

    /** The platform enabled a sub-device. The gateway logs it in if it wants it. */
    record Enabled(DeviceId device) implements GatewayEvent {}

    /** The platform asks the gateway to {@linkplain AliyunGateway#add add} these devices to its topology. */
    record AddRequested(List<DeviceId> devices) implements GatewayEvent {}

    /**
     * The platform changed the gateway's topology.
     *
     * @param devices which devices; empty where the platform does not say. {@link AliyunGateway#get} tells what is there
     */
    record TopologyChanged(List<DeviceId> devices) implements GatewayEvent {}
}
