package io.otaflux.benchmarks.compare;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.eclipse.paho.client.mqttv3.MqttAsyncClient;
import org.eclipse.paho.client.mqttv3.MqttConnectOptions;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

/** The same by the most common client library: received, parsed and deduplicated, but journaled nowhere. */
final class PahoTriggers {

    private PahoTriggers() {}

    /** Takes the broker's port, how many pushes a session has, and the sessions. */
    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[1]);
        for (String session : List.of(args).subList(2, args.length)) {
            drain("tcp://127.0.0.1:" + args[0], count, session);
            // As for OtaFlux.
            System.gc();
        }
        System.exit(0);
    }

    private static void drain(String broker, int count, String session) throws Exception {
        ObjectMapper json = new ObjectMapper();
        Set<String> taken = new HashSet<>();
        CountDownLatch all = new CountDownLatch(count);
        MqttAsyncClient client = new MqttAsyncClient(broker, Pushes.clientIdentifier(session), new MemoryPersistence());
        MqttConnectOptions options = new MqttConnectOptions();
        options.setCleanSession(false);
        System.out.println(Sample.of(() -> {
                    client.setCallback(new PahoCallback(message -> {
                        JsonNode data = json.readTree(message.getPayload()).path("data");
                        String key = data.path("module").asText()
                                + data.path("version").asText()
                                + data.path("sign").asText();
                        if (taken.add(key) && data.path("url").asText().startsWith("https:")) {
                            all.countDown();
                        }
                    }));
                    client.connect(options).waitForCompletion();
                    all.await();
                })
                .line());
        client.disconnect().waitForCompletion();
    }
}
