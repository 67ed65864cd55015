package io.otaflux.benchmarks.compare;

import io.otaflux.transport.aliyun.AliyunDevice;
import java.util.ArrayList;
import java.util.List;
import reactor.core.publisher.Flux;

/** Devices of one process, each with its connection, waiting for pushes. */
final class OtaFluxConnections {

    private static final int AT_ONCE = 64;

    private OtaFluxConnections() {}

    /** Takes the broker's port and the number of devices. */
    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(args[0]);
        int count = Integer.parseInt(args[1]);
        List<AliyunDevice> devices = new ArrayList<>();
        Footprint.print(count, () -> connect(devices, port, 0, 1), () -> connect(devices, port, 1, count));
        System.exit(devices.size() == count ? 0 : 1);
    }

    private static void connect(List<AliyunDevice> devices, int port, int from, int to) {
        Flux.range(from, to - from)
                .flatMap(
                        i -> {
                            AliyunDevice device = AliyunDevice.builder()
                                    .host("127.0.0.1")
                                    .port(port)
                                    .plainTcp()
                                    .credentials(Pushes.PRODUCT, "idle-%06d".formatted(i), Pushes.SECRET)
                                    .build();
                            devices.add(device);
                            device.upgrades().triggers().subscribe();
                            return device.connect();
                        },
                        AT_ONCE)
                .blockLast();
    }
}
