package io.otaflux.transport.aliyun;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.io.IOException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * An object of JSON. Of pushes there may be tens of thousands at once, and of the heap that one of them takes a tree had a
 * third; so its texts are kept as they are read, and only what is seldom there becomes one.
 */
interface Fields {

    /** The value of a field, or {@link MissingNode}. */
    JsonNode path(String name);

    default boolean has(String name) {
        return !path(name).isMissingNode();
    }

    /** The text of that field; null where it is no text. */
    default @Nullable String text(String name) {
        return path(name).textValue();
    }

    /** What is in the object of that name, each that is no text as JSON; empty where it is no object. */
    Map<String, String> texts(String name);

    /** What has been read already. */
    static Fields of(JsonNode object) {
        return new Fields() {
            @Override
            public JsonNode path(String name) {
                return object.path(name);
            }

            @Override
            public Map<String, String> texts(String name) {
                Map<String, String> texts = new LinkedHashMap<>();
                path(name).properties().forEach(field -> texts.put(field.getKey(), asText(field.getValue())));
                return texts;
            }
        };
    }

    private static String asText(JsonNode value) {
        return value.isTextual() ? value.textValue() : value.toString();
    }

    /**
     * Reads the object of that name in the object that {@code parser} has come to the beginning of.
     *
     * @param trees for what does not become texts
     * @throws MalformedMessage when it is no object, or when two fields have one name: those are two readings of one message
     */
    static Fields read(String name, JsonParser parser, ObjectReader trees) throws IOException, MalformedMessage {
        Flat outer = Flat.read(name, parser, trees, 2);
        int found = outer.find(name);
        if (found >= 0 && outer.values[found] instanceof Flat inner) {
            return inner;
        }
        throw new MalformedMessage(name + ": " + kind(outer.path(name)) + " (expected: an object)");
    }

    /** What a value is, for a message about one that should be something else. */
    static String kind(JsonNode node) {
        return node.getNodeType().name().toLowerCase(Locale.ROOT);
    }

    /** A few names and values side by side. */
    final class Flat implements Fields {

        /** With so many it is quicker to look through them than to hash them. */
        private static final int FEW = 32;

        private String[] names;

        /** Texts, nodes of a tree, and objects in this one. */
        private Object[] values;

        private int size;
        private @Nullable Set<String> many;

        /** @param expected how many there usually are */
        private Flat(int expected) {
            names = new String[expected];
            values = new Object[expected];
        }

        /**
         * @param wanted the only field whose value matters; null for all of them
         * @param levels how many objects in one another are no trees
         */
        private static Flat read(@Nullable String wanted, JsonParser parser, ObjectReader trees, int levels)
                throws IOException, MalformedMessage {
            Flat flat = new Flat(wanted != null ? 4 : levels > 0 ? 12 : 2);
            for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
                JsonToken token = parser.nextToken();
                Object value;
                if (token.isScalarValue() && wanted != null && !wanted.equals(name)) {
                    value = NullNode.getInstance();
                } else if (token == JsonToken.START_OBJECT && levels > 0) {
                    value = read(null, parser, trees, levels - 1);
                } else {
                    value = value(token, parser, trees);
                }
                flat.put(name, value);
            }
            return flat;
        }

        private static Object value(JsonToken token, JsonParser parser, ObjectReader trees) throws IOException {
            if (token == JsonToken.VALUE_STRING) {
                return parser.getText();
            } else if (token == JsonToken.VALUE_NUMBER_INT && parser.getNumberType() == JsonParser.NumberType.INT) {
                return IntNode.valueOf(parser.getIntValue());
            } else if (token == JsonToken.VALUE_NULL) {
                return NullNode.getInstance();
            } else if (token == JsonToken.VALUE_TRUE || token == JsonToken.VALUE_FALSE) {
                return BooleanNode.valueOf(token == JsonToken.VALUE_TRUE);
            }
            return trees.readTree(parser);
        }

        private void put(String name, Object value) throws MalformedMessage {
            if (size == FEW) {
                many = new HashSet<>(Arrays.asList(names).subList(0, size));
            }
            if (many == null ? find(name) >= 0 : !many.add(name)) {
                throw new MalformedMessage("two fields of one name");
            }
            if (size == names.length) {
                names = Arrays.copyOf(names, 2 * size);
                values = Arrays.copyOf(values, 2 * size);
            }
            names[size] = name;
            values[size++] = value;
        }

        private int find(String name) {
            for (int i = 0; i < size; i++) {
                if (names[i].equals(name)) {
                    return i;
                }
            }
            return -1;
        }

        @Override
        public JsonNode path(String name) {
            int found = find(name);
            return found < 0 ? MissingNode.getInstance() : node(values[found]);
        }

        private static JsonNode node(Object value) {
            if (value instanceof String text) {
                return TextNode.valueOf(text);
            }
            // Of an object in this one nobody wants to know more than that.
            return value instanceof JsonNode node ? node : JsonNodeFactory.instance.objectNode();
        }

        @Override
        public boolean has(String name) {
            return find(name) >= 0;
        }

        @Override
        public @Nullable String text(String name) {
            int found = find(name);
            return found >= 0 && values[found] instanceof String text ? text : null;
        }

        @Override
        public Map<String, String> texts(String name) {
            int found = find(name);
            if (found < 0 || !(values[found] instanceof Flat inner)) {
                return Map.of();
            }
            if (inner.size == 1) {
                return Map.of(inner.names[0], inner.text(0));
            }
            Map<String, String> texts = new LinkedHashMap<>();
            for (int i = 0; i < inner.size; i++) {
                texts.put(inner.names[i], inner.text(i));
            }
            return texts;
        }

        private String text(int index) {
            return values[index] instanceof String text ? text : Fields.asText((JsonNode) values[index]);
        }
    }
}
