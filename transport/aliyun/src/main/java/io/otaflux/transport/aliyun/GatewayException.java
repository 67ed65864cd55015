package io.otaflux.transport.aliyun;

import io.otaflux.ChannelException;

/** The platform said no to something that a gateway asked for, or ended the session of a device behind it. */
public final class GatewayException extends ChannelException {

    private final Refusal refusal;

    GatewayException(Refusal refusal, String message) {
        super(refusal.isTransient() ? Reason.SERVER_BUSY : Reason.CONNECTION_REFUSED, message, null);
        this.refusal = refusal;
    }

    /** What the platform answered to {@code what}. */
    static GatewayException answered(String what, String code) {
        Refusal refusal = Refusal.of(code);
        return new GatewayException(refusal, what + ": refused with code " + code + ", " + refusal);
    }

    /** What the platform said, by name. */
    public Refusal refusal() {
        return refusal;
    }

    @Override
    public boolean isTransient() {
        return refusal.isTransient();
    }

    /** The platform's codes, by name. */
    public enum Refusal {
        /** 460: the request makes no sense to the platform. */
        BAD_REQUEST("460"),
        /** 429: asked too often. It may be asked again later, and is. */
        TOO_OFTEN("429"),
        /** 500 and the like: the platform cannot answer now. It may be asked again later, and is. */
        PLATFORM_BUSY("500|503"),
        /** 428: as many sub-devices as the platform allows are logged in over this gateway. */
        TOO_MANY_ONLINE("428"),
        /** 6100: the platform knows no such device. */
        UNKNOWN_DEVICE("6100"),
        /** 6204, 522: the device is disabled. It is logged in when the platform enables it again. */
        DISABLED("6204|522"),
        /** 521: the device was deleted. */
        DELETED("521"),
        /** 6287, 401: the signature is wrong, and so the secret is. */
        BAD_SIGNATURE("6287|401"),
        /** 6401: the device is not in the gateway's topology; see {@link AliyunGateway#add}. */
        NOT_IN_TOPOLOGY("6401"),
        /** 6400: the gateway's topology has no room. */
        TOPOLOGY_FULL("6400"),
        /** 6402: a gateway is no sub-device of its own. */
        ITSELF("6402"),
        /** 6619: the device is in another gateway's topology. */
        BOUND_ELSEWHERE("6619"),
        /** 427, 527: the device logged in over another connection. It is left alone until the program logs it in again. */
        LOGGED_IN_ELSEWHERE("427|527"),
        /** 520: the platform has no session of the device. It is logged in again. */
        NO_SESSION("520"),
        /** The program logged it out, or took it out of the topology. */
        LOGGED_OUT(""),
        /** Any other code; the message has it. */
        OTHER("");

        private final String codes;

        Refusal(String codes) {
            this.codes = codes;
        }

        static Refusal of(String code) {
            for (Refusal refusal : values()) {
                if (code.matches(refusal.codes)) {
                    return refusal;
                }
            }
            return OTHER;
        }

        private boolean isTransient() {
            return this == TOO_OFTEN || this == PLATFORM_BUSY || this == NO_SESSION;
        }
    }
}
