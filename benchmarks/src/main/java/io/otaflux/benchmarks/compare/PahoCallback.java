package io.otaflux.benchmarks.compare;

import org.eclipse.paho.client.mqttv3.IMqttDeliveryToken;
import org.eclipse.paho.client.mqttv3.MqttCallback;
import org.eclipse.paho.client.mqttv3.MqttMessage;

/** Hands messages on; Paho acknowledges each when that returns. */
final class PahoCallback implements MqttCallback {

    private final Receiver receiver;

    PahoCallback(Receiver receiver) {
        this.receiver = receiver;
    }

    interface Receiver {
        void receive(MqttMessage message) throws Exception;
    }

    @Override
    public void messageArrived(String topic, MqttMessage message) throws Exception {
        receiver.receive(message);
    }

    @Override
    public void connectionLost(Throwable cause) {
        throw new IllegalStateException("The connection was lost", cause);
    }

    @Override
    public void deliveryComplete(IMqttDeliveryToken token) {}
}
