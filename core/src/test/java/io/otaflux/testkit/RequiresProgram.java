package io.otaflux.testkit;

import java.io.File;
import java.lang.annotation.ElementType;
import java.lang.annotation.Repeatable;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;

/**
 * Runs a test only where a program is installed. Where it is not, the test is skipped and says aloud which Debian package
 * to install; with the environment variable {@code OTAFLUX_REQUIRE_PROGRAMS=true} it runs, and fails, instead. A test that needs several
 * programs has the annotation several times.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Repeatable(RequiresProgram.All.class)
@ExtendWith(RequiresProgram.Installed.class)
public @interface RequiresProgram {

    /** The name of the executable, looked up on the {@code PATH} and in the {@code sbin} directories. */
    String value();

    /** The Debian package that has it. */
    String debianPackage();

    /** Where one test needs several programs. */
    @Target({ElementType.TYPE, ElementType.METHOD})
    @Retention(RetentionPolicy.RUNTIME)
    @ExtendWith(RequiresProgram.Installed.class)
    @interface All {

        RequiresProgram[] value();
    }

    /** Finds programs, and evaluates the annotation. */
    final class Installed implements ExecutionCondition {

        /** The path of {@code program}, or empty where it is not installed. */
        public static Optional<Path> find(String program) {
            String path = Optional.ofNullable(System.getenv("PATH")).orElse("");
            return Stream.concat(
                            Stream.of(path.split(File.pathSeparator)),
                            List.of("/usr/sbin", "/sbin", "/usr/local/sbin").stream())
                    .map(directory -> Path.of(directory, program))
                    .filter(Files::isExecutable)
                    .findFirst();
        }

        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            return context.getElement().stream()
                    .flatMap(element ->
                            AnnotationSupport.findRepeatableAnnotations(element, RequiresProgram.class).stream())
                    .map(required -> evaluate(required, context.getDisplayName()))
                    .reduce((one, other) -> one.isDisabled() ? one : other)
                    .orElseGet(() -> ConditionEvaluationResult.enabled("needs no program"));
        }

        private static ConditionEvaluationResult evaluate(RequiresProgram required, String test) {
            if (find(required.value()).isPresent()) {
                return ConditionEvaluationResult.enabled(required.value() + " is installed");
            }
            if (Boolean.parseBoolean(System.getenv("OTAFLUX_REQUIRE_PROGRAMS"))) {
                return ConditionEvaluationResult.enabled(required.value() + " is missing and required");
            }
            String reason = "SKIPPED " + test + ": needs " + required.value() + " (apt-get install "
                    + required.debianPackage() + ")";
            System.err.println(reason);
            return ConditionEvaluationResult.disabled(reason);
        }
    }
}
