package io.otaflux.samples.platform;

import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.mqtt.MqttPublishMessage;
import io.netty.handler.codec.mqtt.MqttPublishVariableHeader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * One address of the embedded broker for each connection, for messages on topics that the connection has not subscribed to:
 * those of a session with {@code _ss=1}, and those of a gateway's sub-devices. The broker subscribes every session to its
 * outbox, which is one queue however many topics there are.
 *
 * <p>Format of a message in it: length of the topic (2 bytes, big-endian), topic (UTF-8), payload. It is opened on its way out
 * ({@link #open}), so that the device sees an ordinary message on the topic.
 */
final class Outbox {

    static final String ADDRESSES = "outbox/#";
    private static final String PREFIX = "outbox/";

    private Outbox() {}

    static String address(DeviceKey connection) {
        return PREFIX + connection.productKey() + "/" + connection.deviceName();
    }

    static boolean isAddress(String topic) {
        return topic.startsWith(PREFIX);
    }

    /** Whose outbox an address is. */
    static Optional<DeviceKey> device(String address) {
        String[] levels = address.split("/", -1);
        return isAddress(address) && levels.length == 3
                ? Optional.of(new DeviceKey(levels[1], levels[2]))
                : Optional.empty();
    }

    static byte[] seal(String topic, byte[] payload) {
        byte[] name = topic.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(Short.BYTES + name.length + payload.length)
                .putShort((short) name.length)
                .put(name)
                .put(payload)
                .array();
    }

    /** The message as the device is to see it; it takes over the buffer of the sealed one. */
    static MqttPublishMessage open(MqttPublishMessage sealed) {
        ByteBuf content = sealed.payload();
        int length = content.readUnsignedShort();
        String topic = content.readCharSequence(length, StandardCharsets.UTF_8).toString();
        return new MqttPublishMessage(
                sealed.fixedHeader(),
                new MqttPublishVariableHeader(topic, sealed.variableHeader().packetId()),
                content.slice());
    }
}
