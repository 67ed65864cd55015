package io.otaflux.benchmarks.compare;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** What comes out: tables, targets and bars, scenario by scenario, as Markdown, as JSON and as pictures. */
final class Report {

    private static final double MEBI = 1 << 20;

    private final boolean smoke;
    private final Map<String, String> machine;
    private final List<Section> sections = new ArrayList<>();
    private final List<Failure> failures = new ArrayList<>();

    Report(boolean smoke, Map<String, String> machine) {
        this.smoke = smoke;
        this.machine = machine;
    }

    /** One part of a section. */
    @JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "type")
    @JsonSubTypes({
        @JsonSubTypes.Type(value = Table.class, name = "table"),
        @JsonSubTypes.Type(value = Target.class, name = "target"),
        @JsonSubTypes.Type(value = Bars.class, name = "bars")
    })
    sealed interface Block {}

    record Table(String title, String note, List<String> columns, List<List<String>> rows) implements Block {}

    /** {@code value} is null when it could not be measured; then it is not met. {@code met} is null in a smoke run. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Target(
            String what,
            String figure,
            @Nullable Double value,
            double bound,
            boolean atMost,
            @Nullable Boolean met,
            String remark)
            implements Block {}

    record Bars(String title, String unit, Map<String, Double> values, String file) implements Block {}

    record Failure(String scenario, String contestant, String reason) {}

    /** Everything of one scenario; the samples are those that count, in the order in which they were measured. */
    record Section(String name, List<Block> blocks, List<Map<String, List<Sample>>> samples) {}

    private record Content(
            boolean smoke, Map<String, String> machine, List<Section> sections, List<Failure> failures) {}

    /** What follows belongs to that scenario. */
    void begin(String scenario) {
        sections.add(new Section(scenario, new ArrayList<>(), new ArrayList<>()));
        System.err.println("=== " + scenario);
    }

    void table(String title, String note, List<String> columns, List<List<String>> rows) {
        for (List<String> row : rows) {
            if (row.size() != columns.size()) {
                throw new IllegalArgumentException(
                        title + ": a row has " + row.size() + " cells (expected: " + columns.size() + "): " + row);
            }
        }
        current().blocks().add(new Table(title, note, List.copyOf(columns), List.copyOf(rows)));
    }

    /** The usual table of a race: medians, and how they relate to those of one of the contestants. */
    void race(String title, String note, Map<String, List<Sample>> samples, String baseline) {
        List<Sample> base = samples.getOrDefault(baseline, List.of());
        List<List<String>> rows = new ArrayList<>();
        samples.forEach((name, all) -> rows.add(List.of(
                name,
                number(Sample.median(all, Sample::wall)),
                number(Sample.median(all, Sample::wall) / Sample.median(base, Sample::wall)),
                number(Sample.median(all, Sample::cpu)),
                number(Sample.median(all, Sample::cpu) / Sample.median(base, Sample::cpu)),
                range(all, Sample::cpu),
                mebibytes(Sample.median(all, Sample::rss)),
                mebibytes(Sample.median(all, Sample::allocated)),
                Integer.toString(all.size()))));
        table(
                title,
                note,
                List.of(
                        "contestant",
                        "wall s",
                        "wall × " + baseline,
                        "CPU s",
                        "CPU × " + baseline,
                        "CPU s, least and most",
                        "peak RSS MiB",
                        "heap MiB",
                        "samples"),
                rows);
    }

    /** A figure that was promised, and whether it holds. */
    void target(String what, String figure, double value, double bound, boolean atMost) {
        target(what, figure, value, bound, atMost, "");
    }

    /** The same with a remark, for example why it does not hold. */
    void target(String what, String figure, double value, double bound, boolean atMost, String remark) {
        boolean known = Double.isFinite(value);
        Boolean met = smoke ? null : Boolean.valueOf(known && (atMost ? value <= bound : value >= bound));
        current().blocks().add(new Target(what, figure, known ? value : null, bound, atMost, met, remark));
    }

    /** A target for one contestant's figure over another's, by the medians. */
    void ratio(
            String what,
            Map<String, List<Sample>> samples,
            String ours,
            String theirs,
            ToDoubleFunction<Sample> figure,
            double bound,
            boolean atMost) {
        double value = Sample.median(samples.getOrDefault(ours, List.of()), figure)
                / Sample.median(samples.getOrDefault(theirs, List.of()), figure);
        target(what, "× " + theirs, value, bound, atMost);
    }

    /** A picture with a bar for each. */
    void bars(String title, String unit, Map<String, Double> values) {
        Map<String, Double> known = new LinkedHashMap<>(values);
        known.values().removeIf(value -> !Double.isFinite(value));
        String slug = (current().name() + "-" + title).toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-");
        current().blocks().add(new Bars(title, unit, known, slug.replaceAll("^-|-$", "") + ".svg"));
    }

    /** The samples of a race, as they are, for whoever wants to calculate by himself. */
    void samples(Map<String, List<Sample>> samples) {
        current().samples().add(new LinkedHashMap<>(samples));
    }

    /** A contestant, or a whole scenario, from which there are no figures. */
    void failed(String contestant, String reason) {
        Failure failure = new Failure(sections.isEmpty() ? "" : current().name(), contestant, reason);
        failures.add(failure);
        System.err.println("FAILED " + failure.scenario() + ", " + contestant + ": " + reason);
    }

    /** Says, loudly, that a scenario was not even tried. */
    void leftOut(String reason) {
        table("Left out", "there are no figures", List.of("reason"), List.of(List.of(reason)));
        System.err.println("LEFT OUT " + current().name() + ": " + reason);
    }

    /** Says how far it is, to whoever waits. */
    void progress(String line) {
        System.err.println(line);
    }

    boolean hasFailures() {
        return !failures.isEmpty();
    }

    /** Writes {@code report.md}, {@code report.json} and the pictures. */
    void write(Path directory) throws IOException {
        Files.createDirectories(directory);
        for (Section section : sections) {
            for (Block block : section.blocks()) {
                if (block instanceof Bars bars) {
                    Files.writeString(
                            directory.resolve(bars.file()), Svg.bars(bars.title(), bars.unit(), bars.values()));
                }
            }
        }
        JsonMapper.builder()
                .enable(SerializationFeature.INDENT_OUTPUT)
                .build()
                .writeValue(directory.resolve("report.json").toFile(), new Content(smoke, machine, sections, failures));
        Files.writeString(directory.resolve("report.md"), markdown());
    }

    String markdown() {
        StringBuilder out = new StringBuilder("# OtaFlux compared\n\n");
        if (smoke) {
            out.append(
                    "A smoke run: tiny inputs, one repetition. It says that everything works, and nothing else.\n\n");
        }
        append(
                out,
                List.of("", ""),
                machine.entrySet().stream()
                        .map(entry -> List.of(entry.getKey(), entry.getValue()))
                        .toList());
        if (!failures.isEmpty()) {
            out.append("## Failed\n\n");
            append(
                    out,
                    List.of("scenario", "contestant", "reason"),
                    failures.stream()
                            .map(failure -> List.of(failure.scenario(), failure.contestant(), failure.reason()))
                            .toList());
        }
        List<Target> targets = sections.stream()
                .flatMap(section -> section.blocks().stream())
                .filter(Target.class::isInstance)
                .map(Target.class::cast)
                .toList();
        if (!targets.isEmpty()) {
            out.append("## Targets\n\n");
            append(
                    out,
                    List.of("what", "figure", "target", "measured", "met", "remark"),
                    targets.stream().map(Report::row).toList());
        }
        for (Section section : sections) {
            out.append("## ").append(section.name()).append("\n\n");
            for (Block block : section.blocks()) {
                if (block instanceof Table table) {
                    out.append("**").append(table.title()).append("**");
                    out.append(table.note().isEmpty() ? "" : ": " + table.note())
                            .append("\n\n");
                    append(out, table.columns(), table.rows());
                } else if (block instanceof Bars bars) {
                    out.append("![")
                            .append(bars.title())
                            .append("](")
                            .append(bars.file())
                            .append(")\n\n");
                }
            }
        }
        return out.toString();
    }

    private static List<String> row(Target target) {
        return List.of(
                target.what(),
                target.figure(),
                (target.atMost() ? "≤ " : "≥ ") + number(target.bound()),
                target.value() == null ? "not measured" : number(target.value()),
                target.met() == null ? "not judged" : target.met() ? "yes" : "**no**",
                target.remark());
    }

    private static void append(StringBuilder out, List<String> columns, List<List<String>> rows) {
        appendRow(out, columns);
        appendRow(out, columns.stream().map(column -> "---").toList());
        rows.forEach(row -> appendRow(out, row));
        out.append('\n');
    }

    private static void appendRow(StringBuilder out, List<String> cells) {
        out.append(cells.stream()
                .map(cell -> cell.strip().replace("|", "\\|").replaceAll("\\R", "<br>"))
                .collect(Collectors.joining(" | ", "| ", " |\n")));
    }

    /** About three digits, as a person would write it; a dash for what is not a number. */
    static String number(double value) {
        if (!Double.isFinite(value)) {
            return "–";
        }
        double size = Math.abs(value);
        String format = size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : size >= 0.1 || size == 0 ? "%.2f" : "%.4f";
        return String.format(Locale.ROOT, format, value);
    }

    private static String mebibytes(double bytes) {
        return bytes < 0 ? "–" : number(bytes / MEBI);
    }

    private static String range(List<Sample> samples, ToDoubleFunction<Sample> figure) {
        return number(samples.stream().mapToDouble(figure).min().orElse(Double.NaN)) + " – "
                + number(samples.stream().mapToDouble(figure).max().orElse(Double.NaN));
    }

    private Section current() {
        return sections.get(sections.size() - 1);
    }
}
