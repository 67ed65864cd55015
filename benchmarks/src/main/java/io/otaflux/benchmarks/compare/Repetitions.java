package io.otaflux.benchmarks.compare;

/** What the program of a Java contestant has in its {@code main}. */
final class Repetitions {

    /** Set by {@link Contestant#java} for its child. */
    static final String COUNT = "otaflux.compare.repetitions";

    /** Set by {@link Compare} for itself and its children. */
    static final String SMOKE = "otaflux.compare.smoke";

    private Repetitions() {}

    static boolean smoke() {
        return Boolean.getBoolean(SMOKE);
    }

    /** Does the work as often as the parent asked, and prints each sample. */
    static void of(ThrowingRunnable work) throws Exception {
        of(work, () -> {});
    }

    /** The same, with something after each repetition that is not measured, for example a look at what was written. */
    static void of(ThrowingRunnable work, ThrowingRunnable after) throws Exception {
        for (int i = Integer.getInteger(COUNT, 1); i > 0; i--) {
            System.out.println(Sample.of(work).line());
            after.run();
        }
    }
}
