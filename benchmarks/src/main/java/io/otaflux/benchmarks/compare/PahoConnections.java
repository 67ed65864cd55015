package io.otaflux.benchmarks.compare;

import java.util.ArrayList;
import java.util.List;
import org.eclipse.paho.client.mqttv3.IMqttToken;
import org.eclipse.paho.client.mqttv3.MqttAsyncClient;
import org.eclipse.paho.client.mqttv3.MqttConnectOptions;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

/** Clients of Paho in one process, each with its connection and the subscriptions of a device. */
final class PahoConnections {

    private PahoConnections() {}

    /** Takes the broker's port and the number of devices. */
    public static void main(String[] args) throws Exception {
        String broker = "tcp://127.0.0.1:" + args[0];
        int count = Integer.parseInt(args[1]);
        List<MqttAsyncClient> clients = new ArrayList<>();
        Footprint.print(count, () -> connect(clients, broker, 0, 1), () -> connect(clients, broker, 1, count));
        System.exit(clients.size() == count ? 0 : 1);
    }

    private static void connect(List<MqttAsyncClient> clients, String broker, int from, int to) throws Exception {
        List<IMqttToken> subscriptions = new ArrayList<>();
        for (int i = from; i < to; i++) {
            String name = "paho-%06d".formatted(i);
            MqttAsyncClient client =
                    new MqttAsyncClient(broker, Pushes.clientIdentifier(name), new MemoryPersistence());
            clients.add(client);
            client.setCallback(new PahoCallback(message -> {}));
            MqttConnectOptions options = new MqttConnectOptions();
            options.setCleanSession(false);
            client.connect(options).waitForCompletion();
            String path = Pushes.PRODUCT + "/" + name;
            subscriptions.add(client.subscribe(
                    new String[] {"/ota/device/upgrade/" + path, "/sys/" + path + "/thing/ota/firmware/get_reply"},
                    new int[] {1, 1}));
        }
        for (IMqttToken subscription : subscriptions) {
            subscription.waitForCompletion();
        }
    }
}
