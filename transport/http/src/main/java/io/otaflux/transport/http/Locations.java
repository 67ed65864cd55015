package io.otaflux.transport.http;

import io.otaflux.Artifact;
import io.otaflux.OtaException.Reason;
import io.otaflux.SourceException;
import java.net.InetAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.Collection;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Which locations may be asked. Every hop passes {@link #judge}, the first one as well as those that a server redirects
 * to. What a name resolves to is not known here; {@link NetworkGuard} judges that.
 *
 * <p>A location is parsed once, by {@link URI}, and only what that parser understood is asked: two parsers that disagree
 * about where the host ends are how checks of this kind are tricked. A location's query is often a credential and
 * appears in no message.
 */
final class Locations {

    private static final int SHOWN = 200;

    /** No leading zeros: to some they mean octal. */
    private static final Pattern IPV4 = Pattern.compile("(0|[1-9][0-9]{0,2})(\\.(0|[1-9][0-9]{0,2})){3}");

    /** In brackets, or with a last label that begins with a digit: such names do not exist. */
    private static final Pattern LIKE_AN_ADDRESS = Pattern.compile("\\[.*|(.*\\.)?[0-9][^.]*");

    private static final Pattern HOSTS = Pattern.compile("(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?");

    private final boolean allowHttp;
    private final Set<String> hosts;
    private final Networks networks;
    private final Set<Origin> origins;

    /**
     * @param hosts the hosts that may be asked, as names or, behind {@code *.}, as the end of names; none for all
     * @param origins those that may be asked whatever {@code hosts} and {@code networks} say
     */
    Locations(boolean allowHttp, Collection<String> hosts, Networks networks, Collection<Origin> origins) {
        this.allowHttp = allowHttp;
        this.hosts = Set.copyOf(hosts);
        this.networks = networks;
        this.origins = Set.copyOf(origins);
    }

    /**
     * One spelling of what an operator calls a host.
     *
     * @throws IllegalArgumentException when it is neither a name, the end of a name behind {@code *.}, nor an address
     */
    static String host(String allowed) {
        if (Networks.literal(allowed) == null && !HOSTS.matcher(allowed).matches()) {
            throw new IllegalArgumentException(
                    "host: \"" + allowed + "\" (expected: files.example.org, *.example.org, or an address)");
        }
        return Origin.canonical(allowed);
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
        String objection = objection(uri);
        if (objection != null) {
            throw refused(reason, uri, objection);
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

    /** Says what speaks against the host of {@code uri}; null where nothing does that can be seen by now. */
    private @Nullable String objection(URI uri) {
        String host = uri.getHost();
        if (host.indexOf('%') >= 0) {
            return "an address with a zone";
        }
        if (host.endsWith(".")) {
            return "a dot after the host";
        }
        InetAddress literal = Networks.literal(host);
        boolean plain =
                host.charAt(0) == '[' ? literal != null : IPV4.matcher(host).matches();
        if (!plain && LIKE_AN_ADDRESS.matcher(host).matches()) {
            return "an address that can be read in several ways";
        }
        if (origins.contains(Origin.of(uri))) {
            return null;
        }
        String canonical = Origin.canonical(host);
        if (!hosts.isEmpty()
                && !hosts.contains(canonical)
                && hosts.stream().noneMatch(end -> endsWith(canonical, end))) {
            return "host " + canonical + " is not among those that may be asked";
        }
        return literal == null ? null : networks.objection(literal);
    }

    private static boolean endsWith(String host, String allowed) {
        return allowed.startsWith("*.") && host.endsWith(allowed.substring(1));
    }

    /** Tells whether connections to {@code host} and {@code port} are for an origin that may be asked in any case. */
    boolean isExempt(String host, int port) {
        String canonical = Origin.canonical(host);
        return origins.stream().anyMatch(origin -> origin.host().equals(canonical) && origin.port() == port);
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
