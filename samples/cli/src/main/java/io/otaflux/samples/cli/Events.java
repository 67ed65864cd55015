package io.otaflux.samples.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.otaflux.Artifact;
import io.otaflux.Downloaded;
import io.otaflux.Installed;
import io.otaflux.Installer;
import io.otaflux.OtaException;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import io.otaflux.Verified;
import java.util.Locale;

/** How events are written: as a line of JSON for programs, as a line of text for people. Neither has a location in it. */
final class Events {

    private static final ObjectMapper JSON = new ObjectMapper();

    private Events() {}

    /** One JSON object in one line. {@code event} says what happened; what else there is depends on it. */
    static String json(UpgradeEvent event) {
        UpgradeTrigger trigger = event.trigger();
        ObjectNode line = JSON.createObjectNode()
                .put("event", event.getClass().getSimpleName().toLowerCase(Locale.ROOT))
                .put("device", trigger.device().toString())
                .put("module", trigger.module())
                .put("version", trigger.version());
        if (event instanceof UpgradeEvent.Received received) {
            line.put("bytes", received.bytes());
            if (received.size() != Artifact.UNKNOWN_SIZE) {
                line.put("size", received.size());
            }
        } else if (event instanceof UpgradeEvent.Interrupted interrupted) {
            failure(line, interrupted.cause())
                    .put("retryInMillis", interrupted.retryIn().toMillis());
        } else if (event instanceof Downloaded downloaded) {
            line.put("bytes", size(downloaded));
        } else if (event instanceof Verified verified) {
            line.put("assurance", verified.assurance().name());
            verified.files()
                    .forEach(file -> line.withArrayProperty("files")
                            .addObject()
                            .put("name", file.artifact().name())
                            .put("size", file.size())
                            .put("digest", file.digest().toString()));
        } else if (event instanceof Installed installed) {
            line.put("effect", installed.effect().name());
        } else if (event instanceof UpgradeEvent.Failed failed) {
            failure(line, failed.cause());
        } else if (event instanceof UpgradeEvent.Cancelled cancelled) {
            line.put("message", Line.of(cancelled.reason()));
        }
        return write(line);
    }

    private static ObjectNode failure(ObjectNode line, OtaException cause) {
        return line.put("stage", cause.stage().name())
                .put("reason", cause.reason().name())
                .put("message", Line.of(cause));
    }

    private static String write(ObjectNode line) {
        try {
            return JSON.writeValueAsString(line);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a tree of plain values could not be written", e);
        }
    }

    static String text(UpgradeEvent event) {
        return event.trigger().module() + " " + event.trigger().version() + ": " + what(event);
    }

    private static String what(UpgradeEvent event) {
        if (event instanceof UpgradeEvent.Admitted) {
            return "taken on";
        } else if (event instanceof UpgradeEvent.Received received) {
            return new Size(received.bytes()) + " received";
        } else if (event instanceof UpgradeEvent.Interrupted interrupted) {
            return "interrupted, going on in " + interrupted.retryIn().toMillis() + " ms: "
                    + Line.of(interrupted.cause());
        } else if (event instanceof Downloaded downloaded) {
            return "downloaded, " + new Size(size(downloaded));
        } else if (event instanceof Verified verified) {
            return "verified, " + verified.file().digest();
        } else if (event instanceof Installed installed) {
            return installed.effect() == Installer.Effect.IMMEDIATE
                    ? "installed"
                    : "installed, in effect after a restart";
        } else if (event instanceof UpgradeEvent.Failed failed) {
            return "FAILED in " + failed.cause().stage() + ", " + failed.cause().reason() + ": "
                    + Line.of(failed.cause());
        } else if (event instanceof UpgradeEvent.Cancelled cancelled) {
            return "cancelled: " + Line.of(cancelled.reason());
        }
        return "succeeded";
    }

    private static long size(Downloaded downloaded) {
        return downloaded.files().stream().mapToLong(file -> file.size()).sum();
    }
}
