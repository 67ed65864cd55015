package io.otaflux.transport.aliyun;

/** A message makes no sense. The text says why and quotes no value, since values may be credentials. */
final class MalformedMessage extends Exception {

    MalformedMessage(String message) {
        super(message);
    }
}
