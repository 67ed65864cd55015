package io.otaflux.benchmarks.compare;

import java.util.Map;

/** A bar chart, drawn by hand: lying bars, shortest text that tells it, OtaFlux in another colour. */
final class Svg {

    private static final int WIDTH = 760;
    private static final int NAMES = 300;
    private static final int VALUES = 80;
    private static final int ROW = 24;
    private static final int HEAD = 44;

    private Svg() {}

    static String bars(String title, String unit, Map<String, Double> values) {
        double most =
                values.values().stream().mapToDouble(Double::doubleValue).max().orElse(1);
        int height = HEAD + values.size() * ROW + 12;
        StringBuilder svg = new StringBuilder(
                """
            <svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">
            <title>%s</title>
            <rect width="100%%" height="100%%" fill="#ffffff"/>
            <g font-family="sans-serif" font-size="13" fill="#1f2328">
            <text x="12" y="26" font-size="15" font-weight="bold">%s (%s)</text>
            """.formatted(WIDTH, height, WIDTH, height, escape(title), escape(title), escape(unit)));
        int y = HEAD;
        for (Map.Entry<String, Double> bar : values.entrySet()) {
            double length = most <= 0 ? 0 : bar.getValue() / most * (WIDTH - NAMES - VALUES);
            String colour = bar.getKey().startsWith("OtaFlux") ? "#0a7d4f" : "#8c959f";
            svg.append("""
                <text x="%d" y="%d" text-anchor="end">%s</text>
                <rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>
                <text x="%d" y="%d">%s</text>
                """.formatted(
                            NAMES - 8,
                            y + 16,
                            escape(bar.getKey()),
                            NAMES,
                            y + 3,
                            Math.round(length),
                            ROW - 6,
                            colour,
                            NAMES + Math.round(length) + 6,
                            y + 16,
                            Report.number(bar.getValue())));
            y += ROW;
        }
        return svg.append("</g>\n</svg>\n").toString();
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
