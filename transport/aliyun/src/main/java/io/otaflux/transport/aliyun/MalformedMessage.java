package io.otaflux.transport.aliyun;

/** A message makes no sense. The text says why and quotes no value, since values may be credentials. */
final class MalformedMessage extends Exception {

    private final String why;

    MalformedMessage(String why) {
        super(why);
        this.why = why;
    }

    String why() {
        return why;
    }
}
