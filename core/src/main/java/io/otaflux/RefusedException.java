package io.otaflux;

/** This side declines the upgrade: by policy, for want of an installer, or because its digest proves too little. */
public final class RefusedException extends OtaException {

    public RefusedException(Stage stage, Reason reason, String message) {
        super(stage, reason, message, null);
    }
}
