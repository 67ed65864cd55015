package io.otaflux.transport.aliyun;

import io.otaflux.DeviceId;
import io.otaflux.OtaException;

/** What happens to the connection of a device. */
public sealed interface DeviceEvent {

    /** The platform let the device in and the device listens to its topics. */
    record Connected() implements DeviceEvent {}

    /** The device was closed by its own program. Nothing comes after this. */
    record Closed() implements DeviceEvent {}

    /** The connection broke. The device connects again by itself. */
    record Disconnected(OtaException cause) implements DeviceEvent {}

    /**
     * The platform let the device in and hung up, several times in a row: most likely another process logs in as the same
     * device, and each puts out the other. The device goes on connecting, but with waits of minutes.
     *
     * @param times how often in a row
     */
    record DuplicateLoginSuspected(int times) implements DeviceEvent {}

    /**
     * An attempt to connect failed. With the reason {@link OtaException.Reason#CONNECTION_REFUSED} the platform refused
     * the device; with {@link OtaException.Reason#TLS} one of both does not trust the other.
     */
    record ConnectFailed(OtaException cause) implements DeviceEvent {}

    /**
     * A message of the platform was skipped, because it makes no sense
     * ({@link OtaException.Reason#MALFORMED_TRIGGER}) or asks for something that is not done here
     * ({@link OtaException.Reason#UNSUPPORTED}).
     */
    record MessageSkipped(DeviceId device, OtaException cause) implements DeviceEvent {}
}
