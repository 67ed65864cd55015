package io.otaflux.transport.aliyun;

/** A text that must not be seen: it prints as asterisks wherever it ends up. */
record Secret(String value) {

    @Override
    public String toString() {
        return "***";
    }
}
