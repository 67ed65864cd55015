package io.otaflux;

import java.util.regex.Pattern;

/**
 * What a name that comes from a platform may look like. Such names end up in file names, topics and logs, so they are
 * checked against a list of what is allowed rather than of what is harmful.
 */
enum Names {
    DEVICE("[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,63}"),
    MODULE("[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"),
    VERSION("[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}"),
    /** A name of a file inside a package; the platforms allow spaces and brackets there, and it never becomes a path. */
    ARTIFACT("[A-Za-z0-9_][A-Za-z0-9._+@() -]{0,127}");

    private static final int SHOWN = 80;

    private final Pattern allowed;

    Names(String allowed) {
        this.allowed = Pattern.compile(allowed);
    }

    String check(String what, String value) {
        if (!allowed.matcher(value).matches()) {
            throw new IllegalArgumentException(
                    what + ": \"" + printable(value) + "\" (expected: " + allowed.pattern() + ")");
        }
        return value;
    }

    /** What is wrong with the value is often a control character, which must not reach a terminal by way of a log. */
    private static String printable(String value) {
        String shown = value.length() <= SHOWN ? value : value.substring(0, SHOWN) + "…";
        return shown.replaceAll("[^\\x20-\\x7e…]", "?");
    }
}
