package io.otaflux.transport.http;

import io.otaflux.Artifact;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Which locations may be asked. Every hop passes {@link #judge}, the first one as well as those that a server redirects
 * to, so that whatever else is to be refused (hosts, networks) belongs there.
 *
 * <p>A location is parsed once, by {@link URI}, and only what that parser understood is asked: two parsers that disagree
 * about where the host ends are how checks of this kind are tricked. A location's query is often a credential and
 * appears in no message.
 */
final class Locations {

    private static final int SHOWN = 200;

    private final boolean allowHttp;

    Locations(boolean allowHttp) {
        this.allowHttp = allowHttp;
    }

    /**
     * The location of {@code artifact} as it may be asked.
     *
     * @throws SourceException {@code LOCATION_REFUSED}, or {@code NO_DIGEST} over plain http
     */
    URI first(Artifact artifact) {
        return judge(artifact.location(), artifact, Reason.LOCATION_REFUSED);
    }

    /**
     * Where the redirect from {@code from} leads.
     *
     * @param location the Location header; null where there is none, or more than one
     * @throws SourceException {@code REDIRECT_REFUSED}, or {@code NO_DIGEST} over plain http
     */
    URI next(URI from, @Nullable String location, Artifact artifact) {
        if (location == null) {
            throw refused(Reason.REDIRECT_REFUSED, from, "redirects without saying where to");
        }
        if (!location.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
            throw refused(Reason.REDIRECT_REFUSED, from, "redirects to something that is no URI");
        }
        URI to;
        try {
            to = from.resolve(new URI(location));
        } catch (URISyntaxException e) {
            // Its message quotes the whole input, so that it is not kept as the cause.
            throw refused(Reason.REDIRECT_REFUSED, from, "redirects to something that is no URI: " + e.getReason());
        }
        if (isHttps(from) && !isHttps(to)) {
            throw refused(Reason.REDIRECT_REFUSED, from, "redirects from https to " + to.getScheme());
        }
        return judge(to, artifact, Reason.REDIRECT_REFUSED);
    }

    /** The one judgement of a location, whoever named it. */
    private URI judge(URI uri, Artifact artifact, Reason reason) {
        String scheme = uri.getScheme() == null ? "" : uri.getScheme().toLowerCase(Locale.ROOT);
        if (!scheme.equals("https") && !scheme.equals("http")) {
            throw refused(reason, uri, "scheme \"" + scheme + "\" (expected: https)");
        }
        if (uri.getHost() == null || uri.getHost().isEmpty()) {
            throw refused(reason, uri, "no host");
        }
        if (uri.getRawUserInfo() != null) {
            throw refused(reason, uri, "user-info before the host");
        }
        if (uri.getRawFragment() != null) {
            throw refused(reason, uri, "a fragment");
        }
        if (uri.getPort() == 0 || uri.getPort() > 65_535) {
            throw refused(reason, uri, "port " + uri.getPort());
        }
        if (scheme.equals("http")) {
            if (!allowHttp) {
                throw refused(reason, uri, "plain http is not allowed here");
            }
            if (artifact.digests().isEmpty()) {
                throw refused(Reason.NO_DIGEST, uri, "plain http for an artifact without a digest");
            }
        }
        return URI.create(uri.toASCIIString());
    }

    /** {@code uri} for a message: without its query, its user-info and its fragment. */
    static String describe(URI uri) {
        String port = uri.getPort() == -1 ? "" : ":" + uri.getPort();
        String path = uri.getRawPath() == null ? "" : uri.getRawPath();
        String shown = uri.getScheme() + "://" + uri.getHost() + port + path;
        return shown.length() <= SHOWN ? shown : shown.substring(0, SHOWN) + "…";
    }

    private static boolean isHttps(URI uri) {
        return "https".equalsIgnoreCase(uri.getScheme());
    }

    private static SourceException refused(Reason reason, URI uri, String why) {
        return new SourceException(reason, describe(uri) + ": " + why, null);
    }
}
