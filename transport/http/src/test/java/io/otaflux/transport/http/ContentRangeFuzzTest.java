package io.otaflux.transport.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import io.otaflux.testkit.Corpus;
import io.otaflux.testkit.Mutant;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Whatever stands in a {@code Content-Range}, it is taken for one range of a known whole, or for nothing. */
class ContentRangeFuzzTest {

    @Corpus
    void holds(byte[] input) {
        fuzzerTestOneInput(input);
    }

    public static void fuzzerTestOneInput(byte[] input) {
        check(input, ContentRange::parse);
    }

    @Test
    void theCorpusNoticesAParserThatDoesNotCompare() {
        Pattern numbers = Pattern.compile("bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})");
        Mutant.assertCaught(
                "the order of a Content-Range",
                () -> checkAll(header -> {
                    Matcher matcher = numbers.matcher(header);
                    return matcher.matches()
                            ? Optional.of(new ContentRange(
                                    Long.parseLong(matcher.group(1)),
                                    Long.parseLong(matcher.group(2)),
                                    Long.parseLong(matcher.group(3))))
                            : Optional.empty();
                }));
    }

    @Test
    void theCorpusNoticesAParserThatOverlooksWhatStandsAround() {
        Pattern somewhere = Pattern.compile("([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})");
        Mutant.assertCaught(
                "the frame of a Content-Range",
                () -> checkAll(header -> {
                    Matcher matcher = somewhere.matcher(header);
                    return matcher.find() ? ContentRange.parse("bytes " + matcher.group()) : Optional.empty();
                }));
    }

    private static void checkAll(Function<String, Optional<ContentRange>> parser) {
        Corpus.Inputs.of(ContentRangeFuzzTest.class).forEach(input -> check(input, parser));
    }

    private static void check(byte[] input, Function<String, Optional<ContentRange>> parser) {
        String header = new String(input, ISO_8859_1);
        parser.apply(header).ifPresent(range -> {
            assertThat(range.first()).isNotNegative().isLessThanOrEqualTo(range.last());
            assertThat(range.last()).isLessThan(range.total());
            String canonical = "bytes " + range.first() + "-" + range.last() + "/" + range.total();
            assertThat(header.toLowerCase(Locale.ROOT).replaceAll("(?<=[ /-])0+(?=[0-9])", ""))
                    .isEqualTo(canonical);
            assertThat(parser.apply(canonical)).contains(range);
        });
    }
}
