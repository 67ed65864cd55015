package io.otaflux.samples.gateway;

/** What must never be seen anywhere but on its way to whom it is meant for. */
final class Secrets {

    static final String DEVICE_SECRET = "CANARY-device-secret";
    static final String URL_TOKEN = "CANARY-url-token";

    private Secrets() {}
}
