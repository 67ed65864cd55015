package io.otaflux.samples.platform;

import java.nio.file.Path;

/** A platform in a process of its own, to be killed. Says its ports and then waits. */
final class PlatformProcess {

    private PlatformProcess() {}

    public static void main(String[] arguments) throws Exception {
        Platform platform = Platform.builder()
                .dataDirectory(Path.of(arguments[0]))
                .mqttPort(Integer.parseInt(arguments[1]))
                .start();
        System.out.println("ready " + platform.mqttPort() + " " + platform.httpPort());
        Thread.currentThread().join();
    }
}
