package io.otaflux.samples.cli;

import java.time.Duration;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** A length of time, as it is typed: {@code 90s}, {@code 5m}, {@code 24h}; a number alone counts seconds. */
record Span(Duration duration) {

    private static final Pattern TYPED = Pattern.compile("(\\d{1,9})(MS|S|M|H|D)?");

    /** @throws IllegalArgumentException when {@code text} is none */
    static Span of(String text) {
        Matcher matcher = TYPED.matcher(text.toUpperCase(Locale.ROOT));
        if (!matcher.matches() || Long.parseLong(matcher.group(1)) == 0) {
            throw new IllegalArgumentException("'" + text + "' is no time (expected: 500ms, 90s, 5m, 24h, 2d)");
        }
        long number = Long.parseLong(matcher.group(1));
        String unit = matcher.group(2) == null ? "S" : matcher.group(2);
        return new Span(
                switch (unit) {
                    case "MS" -> Duration.ofMillis(number);
                    case "M" -> Duration.ofMinutes(number);
                    case "H" -> Duration.ofHours(number);
                    case "D" -> Duration.ofDays(number);
                    default -> Duration.ofSeconds(number);
                });
    }

    static final class Converter implements ITypeConverter<Span> {

        @Override
        public Span convert(String text) {
            try {
                return of(text);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(e.getMessage());
            }
        }
    }
}
