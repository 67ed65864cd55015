package io.otaflux.samples.cli;

import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Text as it may reach a terminal or a script: in one line, without control characters and without credentials. */
final class Line {

    /** The query of a location often is a signature, and what precedes an @ in it a password. */
    private static final Pattern QUERY =
            Pattern.compile("(https?://[^\\s?'\"]*)\\?[^\\s'\"]*", Pattern.CASE_INSENSITIVE);

    private static final Pattern USER_INFO = Pattern.compile("(https?://)[^\\s/?'\"]*@", Pattern.CASE_INSENSITIVE);
    private static final Pattern CONTROL = Pattern.compile("[\\p{Cntrl}\\u2028\\u2029]+");

    private Line() {}

    static String of(@Nullable String text) {
        String line = CONTROL.matcher(String.valueOf(text)).replaceAll(" ").strip();
        line = QUERY.matcher(line).replaceAll("$1?…");
        return USER_INFO.matcher(line).replaceAll("$1");
    }

    /** What went wrong; of an exception that is about nothing but another one, the latter. */
    static String of(Throwable failure) {
        String message = failure.getMessage();
        return of(message == null || message.isBlank() ? failure.getClass().getSimpleName() : message);
    }
}
