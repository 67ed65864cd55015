package io.otaflux;

/**
 * What a name that comes from a platform may look like. Such names end up in file names, topics and logs, so they are
 * checked against a list of what is allowed rather than of what is harmful.
 */
enum Names {
    DEVICE("_.:@-", 64),
    MODULE("._-", 64),
    VERSION("._+-", 64),
    /** A name of a file inside a package; the platforms allow spaces and brackets there, and it never becomes a path. */
    ARTIFACT("._+@() -", 128);

    private static final int SHOWN = 80;

    /** For people: the first character is a letter, a digit or an underscore. */
    private final String allowed;

    /** What is allowed beside letters and digits, each a bit of its own in the 64 characters from the blank on. */
    private final long more;

    private final int longest;

    Names(String more, int longest) {
        this.allowed = "[A-Za-z0-9_][A-Za-z0-9" + more + "]{0," + (longest - 1) + "}";
        this.longest = longest;
        this.more = more.chars().mapToLong(c -> 1L << (c - ' ')).reduce(0, (all, bit) -> all | bit);
    }

    String check(String what, String value) {
        if (!isAllowed(value)) {
            throw new IllegalArgumentException(what + ": \"" + printable(value) + "\" (expected: " + allowed + ")");
        }
        return value;
    }

    /** Names are checked in everything that comes in, of which there may be tens of thousands at once. */
    private boolean isAllowed(String value) {
        int length = value.length();
        if (length == 0 || length > longest || !isWord(value.charAt(0))) {
            return false;
        }
        for (int i = 1; i < length; i++) {
            char c = value.charAt(i);
            if (!isWord(c) && (c < ' ' || c >= ' ' + Long.SIZE || (more >>> (c - ' ') & 1) == 0)) {
                return false;
            }
        }
        return true;
    }

    private static boolean isWord(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }

    /** What is wrong with the value is often a control character, which must not reach a terminal by way of a log. */
    private static String printable(String value) {
        String shown = value.length() <= SHOWN ? value : value.substring(0, SHOWN) + "…";
        return shown.replaceAll("[^\\x20-\\x7e…]", "?");
    }
}
