package io.otaflux.storage;

import io.otaflux.Artifact;
import io.otaflux.DeviceId;
import io.otaflux.Digest;
import io.otaflux.UpgradeJournal;
import io.otaflux.UpgradeKey;
import io.otaflux.UpgradeTrigger;
import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * One line of the journal: a word that says what happened, then {@code name=value} pairs with a blank between them. A value
 * that has parts separates them by {@code |} and the digests in them by commas, which {@link Escaped} takes out of the
 * parts themselves. A signature is that of the artifact before it. Words that a reader does not know it skips, so that an
 * older version of this library finds all it knows in what a newer one wrote.
 *
 * @param key whose entry it is
 * @param entry the entry to put, as it will be read back; null to remove the one that is there
 */
record JournalRecord(UpgradeKey key, UpgradeJournal.@Nullable Entry entry) {

    private static final String PUT = "put";
    private static final String REMOVE = "remove";

    static JournalRecord put(UpgradeJournal.Entry entry) {
        UpgradeTrigger trigger = entry.trigger();
        List<Artifact> artifacts = trigger.artifacts().stream()
                .map(artifact -> artifact.at(Locations.withoutCredentials(artifact.location())))
                .toList();
        UpgradeTrigger bare = new UpgradeTrigger(
                trigger.device(), trigger.module(), trigger.version(), artifacts, trigger.tags(), trigger.delta());
        boolean complete = entry.locationsComplete() && artifacts.equals(trigger.artifacts());
        return new JournalRecord(
                trigger.key(),
                new UpgradeJournal.Entry(bare, complete, entry.state(), entry.reported(), entry.detail()));
    }

    static JournalRecord remove(UpgradeKey key) {
        return new JournalRecord(key, null);
    }

    String text() {
        return Lines.text(line(new Lines()));
    }

    /** Appends this as a line. */
    byte[] line(Lines lines) {
        return entry == null ? removal(lines, key) : line(lines, entry);
    }

    /** Appends what is written of {@code key} when its entry is removed. */
    static byte[] removal(Lines lines, UpgradeKey key) {
        lines.begin().append(REMOVE);
        append(lines, key.device(), key.module(), key.version());
        key.digests().forEach(digests -> append(lines.append(" digests="), digests));
        return lines.end();
    }

    /** Appends what is written of {@code entry}: without the credentials in its locations, which then are not complete. */
    static byte[] line(Lines lines, UpgradeJournal.Entry entry) {
        UpgradeTrigger trigger = entry.trigger();
        boolean complete = entry.locationsComplete();
        for (Artifact artifact : trigger.artifacts()) {
            complete &= !Locations.hasCredentials(artifact.location());
        }
        lines.begin().append(PUT);
        append(lines, trigger.device(), trigger.module(), trigger.version());
        append(lines, "state", entry.state().name());
        append(lines, "reported", Boolean.toString(entry.reported()));
        append(lines, "complete", Boolean.toString(complete));
        for (Artifact artifact : trigger.artifacts()) {
            lines.append(" artifact=").escape(artifact.name());
            append(lines.append('|'), artifact.location());
            lines.append('|').append(artifact.size()).append('|');
            append(lines, artifact.digests());
            if (artifact.signature() != null) {
                append(lines, "signature", artifact.signature());
            }
        }
        if (trigger.delta()) {
            append(lines, "delta", "true");
        }
        if (!trigger.tags().isEmpty()) {
            sorted(trigger.tags())
                    .forEach((name, value) ->
                            lines.append(" tag=").escape(name).append('|').escape(value));
        }
        if (entry.detail() != null) {
            append(lines, "detail", entry.detail());
        }
        return lines.end();
    }

    private static Map<String, String> sorted(Map<String, String> tags) {
        return tags.size() == 1 ? tags : new TreeMap<>(tags);
    }

    private static void append(Lines lines, DeviceId device, String module, String version) {
        append(lines, "product", device.product());
        append(lines, "device", device.name());
        append(lines, "module", module);
        append(lines, "version", version);
    }

    private static void append(Lines lines, String name, String value) {
        lines.append(' ').append(name).append('=').escape(value);
    }

    private static void append(Lines lines, URI location) {
        int end = Locations.bareEnd(location);
        if (end < 0) {
            lines.escape(Locations.bare(location));
        } else {
            lines.escape(location.toString(), end);
        }
    }

    private static void append(Lines lines, List<Digest> digests) {
        for (int i = 0; i < digests.size(); i++) {
            Digest digest = digests.get(i);
            lines.append(i == 0 ? "" : ",")
                    .append(digest.algorithm().toString())
                    .append(':')
                    .append(digest.hex());
        }
    }

    /** @throws IllegalArgumentException when {@code line} is no record */
    static JournalRecord parse(String line) {
        String[] words = line.split(" ", -1);
        Map<String, String> single = new HashMap<>();
        List<Artifact> artifacts = new ArrayList<>();
        List<List<Digest>> digests = new ArrayList<>();
        Map<String, String> tags = new HashMap<>();
        for (String word : Arrays.asList(words).subList(1, words.length)) {
            int equals = word.indexOf('=');
            if (equals < 0) {
                throw new IllegalArgumentException("a word without a value");
            }
            String value = word.substring(equals + 1);
            switch (word.substring(0, equals)) {
                case "artifact" -> artifacts.add(parseArtifact(value));
                case "signature" -> {
                    if (artifacts.isEmpty()) {
                        throw new IllegalArgumentException("a signature without an artifact");
                    }
                    artifacts.add(signed(artifacts.remove(artifacts.size() - 1), Escaped.unescape(value)));
                }
                case "digests" -> digests.add(parseDigests(value));
                case "tag" -> {
                    String[] tag = parts(value, 2);
                    tags.put(Escaped.unescape(tag[0]), Escaped.unescape(tag[1]));
                }
                default -> single.put(word.substring(0, equals), Escaped.unescape(value));
            }
        }
        DeviceId device = new DeviceId(required(single, "product"), required(single, "device"));
        String module = required(single, "module");
        String version = required(single, "version");
        return switch (words[0]) {
            case REMOVE -> remove(new UpgradeKey(device, module, version, digests));
            case PUT ->
                put(new UpgradeJournal.Entry(
                        new UpgradeTrigger(
                                device, module, version, artifacts, tags, Boolean.parseBoolean(single.get("delta"))),
                        Boolean.parseBoolean(required(single, "complete")),
                        UpgradeJournal.State.valueOf(required(single, "state")),
                        Boolean.parseBoolean(required(single, "reported")),
                        single.get("detail")));
            default -> throw new IllegalArgumentException("neither " + PUT + " nor " + REMOVE);
        };
    }

    private static Artifact parseArtifact(String value) {
        String[] parts = parts(value, 4);
        return new Artifact(
                Escaped.unescape(parts[0]),
                URI.create(Escaped.unescape(parts[1])),
                Long.parseLong(parts[2]),
                parseDigests(parts[3]));
    }

    private static Artifact signed(Artifact artifact, String signature) {
        return new Artifact(artifact.name(), artifact.location(), artifact.size(), artifact.digests(), signature);
    }

    static List<Digest> parseDigests(String value) {
        List<Digest> digests = new ArrayList<>();
        for (String digest : value.isEmpty() ? new String[0] : value.split(",", -1)) {
            int colon = digest.indexOf(':');
            if (colon < 0) {
                throw new IllegalArgumentException("a digest without an algorithm");
            }
            digests.add(new Digest(Digest.Algorithm.named(digest.substring(0, colon)), digest.substring(colon + 1)));
        }
        return digests;
    }

    private static String[] parts(String value, int expected) {
        String[] parts = value.split("\\|", -1);
        if (parts.length != expected) {
            throw new IllegalArgumentException(parts.length + " parts (expected: " + expected + ")");
        }
        return parts;
    }

    private static String required(Map<String, String> values, String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException("no " + name);
        }
        return value;
    }
}
