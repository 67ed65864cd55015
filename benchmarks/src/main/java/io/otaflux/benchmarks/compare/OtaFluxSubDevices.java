package io.otaflux.benchmarks.compare;

import io.otaflux.transport.aliyun.AliyunDevice;
import io.otaflux.transport.aliyun.GatewayEvent;
import io.otaflux.transport.aliyun.SubDevice;
import java.util.List;
import java.util.stream.IntStream;

/** Devices behind one gateway, logged in and waiting for pushes. */
final class OtaFluxSubDevices {

    private OtaFluxSubDevices() {}

    /** Takes the broker's port and the number of devices. */
    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[1]);
        AliyunDevice gateway = AliyunDevice.builder()
                .host("127.0.0.1")
                .port(Integer.parseInt(args[0]))
                .plainTcp()
                .credentials(Pushes.PRODUCT, "gateway", Pushes.SECRET)
                .build();
        gateway.upgrades().triggers().subscribe();
        Footprint.print(count, () -> logIn(gateway, 0, 1), () -> logIn(gateway, 1, count));
        System.exit(0);
    }

    private static void logIn(AliyunDevice gateway, int from, int to) {
        List<SubDevice> devices = IntStream.range(from, to)
                .mapToObj(i -> new SubDevice("a1Sensor", "sensor-%05d".formatted(i), Pushes.SECRET))
                .toList();
        long in = gateway.gateway()
                .login(devices)
                .filter(GatewayEvent.LoggedIn.class::isInstance)
                .count()
                .blockOptional()
                .orElseThrow();
        if (in != to - from) {
            throw new IllegalStateException(in + " of " + (to - from) + " sub-devices were logged in");
        }
    }
}
