package io.otaflux.benchmarks.compare;

/** What is measured, and what is done around it. */
@FunctionalInterface
interface ThrowingRunnable {

    void run() throws Exception;
}
