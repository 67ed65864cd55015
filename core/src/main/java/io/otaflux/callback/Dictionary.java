package io.otaflux.callback;

import java.util.Map;
import java.util.Optional;

/** The arguments of one call, read by type. Unknown keys are ignored, as the original does. */
record Dictionary(Map<String, ?> values) {

    /** @throws IllegalArgumentException when it is missing or no text */
    String text(String key) {
        return optionalText(key).orElseThrow(() -> new IllegalArgumentException(key + ": missing (expected: text)"));
    }

    /** @throws IllegalArgumentException when it is there and no text */
    Optional<String> optionalText(String key) {
        Object value = values.get(key);
        if (value == null) {
            return Optional.empty();
        }
        if (value instanceof String text) {
            return Optional.of(text);
        }
        throw new IllegalArgumentException(key + ": " + value.getClass().getSimpleName() + " (expected: text)");
    }

    /** @throws IllegalArgumentException when it is missing or no whole number */
    long number(String key) {
        Object value = values.get(key);
        if (value instanceof Integer || value instanceof Long) {
            return ((Number) value).longValue();
        }
        throw new IllegalArgumentException(
                key + ": " + (value == null ? "missing" : value.getClass().getSimpleName()) + " (expected: int)");
    }
}
