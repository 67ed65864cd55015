package io.otaflux.samples.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.stream.Collectors;

/** What the platform lists, one thing per line, its values separated by tabs so that {@code cut} finds them. */
final class Rows {

    private Rows() {}

    static void print(PrintWriter out, JsonNode list, boolean json, String... fields) {
        if (json) {
            out.println(list);
        } else {
            list.forEach(item -> out.println(row(item, fields)));
        }
        out.flush();
    }

    static String row(JsonNode item, String... fields) {
        return Arrays.stream(fields)
                .map(field -> Line.of(item.path(field).asText()))
                .collect(Collectors.joining("\t"));
    }
}
