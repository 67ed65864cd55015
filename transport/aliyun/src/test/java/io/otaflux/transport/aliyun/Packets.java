package io.otaflux.transport.aliyun;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;

/** Control packets of MQTT, for brokers that do what no real one does. */
final class Packets {

    private Packets() {}

    /** Reads what is behind the first byte of a packet: the length, and as much. */
    static byte[] read(DataInputStream in) throws IOException {
        int length = 0;
        int shift = 0;
        int part;
        do {
            part = in.readUnsignedByte();
            length |= (part & 0x7F) << shift;
            shift += 7;
        } while ((part & 0x80) != 0);
        return in.readNBytes(length);
    }

    static void write(OutputStream out, int firstByte, byte[] packet) throws IOException {
        out.write(firstByte);
        int left = packet.length;
        do {
            out.write(left > 127 ? left & 0x7F | 0x80 : left);
            left >>= 7;
        } while (left > 0);
        out.write(packet);
    }
}
