package io.otaflux.samples.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** A number of bytes, as it is typed and as it is shown: {@code 64M} are 64 times 1024 times 1024. */
record Size(long bytes) {

    private static final Pattern TYPED = Pattern.compile("(\\d{1,15})([KMGT]?)(?:I?B)?");
    private static final String UNITS = "KMGT";

    static final class Converter implements ITypeConverter<Size> {

        @Override
        public Size convert(String text) {
            Matcher matcher = TYPED.matcher(text.toUpperCase(Locale.ROOT));
            if (!matcher.matches()) {
                throw new TypeConversionException("'" + text + "' is not a size (expected: 1048576, 1024K, 64M, 2G)");
            }
            String unit = matcher.group(2);
            int power = unit.isEmpty() ? 0 : UNITS.indexOf(unit) + 1;
            try {
                return new Size(Math.multiplyExact(Long.parseLong(matcher.group(1)), 1L << (10 * power)));
            } catch (ArithmeticException e) {
                throw new TypeConversionException("'" + text + "' is too large");
            }
        }
    }

    /** In the unit in which it has one to four digits before the point. */
    @Override
    public String toString() {
        double value = bytes;
        int unit = -1;
        while (value >= 1024 && unit < UNITS.length() - 1) {
            value /= 1024;
            unit++;
        }
        return unit < 0 ? bytes + " B" : String.format(Locale.ROOT, "%.1f %ciB", value, UNITS.charAt(unit));
    }
}
