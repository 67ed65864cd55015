package io.otaflux.samples.legacy;

import io.otaflux.Installer;
import io.otaflux.UpgradeTrigger;
import io.otaflux.Verified;
import io.otaflux.callback.Ota;
import io.otaflux.storage.SlotInstaller;
import io.otaflux.transport.aliyun.Device;
import io.otaflux.transport.http.HttpArtifactSource;
import java.io.IOException;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Enumeration;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * The example program of the original {@code ota} module, in the same steps, with the same names.
 *
 * <pre>
 * Python                                             Java
 * import ota                                         Ota ota = new Ota()
 * device = Device()                                  device = new Device()
 * device.on(Device.ON_CONNECT, on_connect)           device.on(Device.ON_CONNECT, this::onConnect)
 * device.connect(key_info)                           device.connect(keyInfo)
 * device_handle = device.getDeviceHandle()           device.getDeviceHandle()
 * ota.init({'device_handle': h})                     ota.init(Map.of("device_handle", h))
 * ota.on(1, on_trigger)                              ota.on(1, this::onTrigger)
 * def on_trigger(data): info['url'] = data['url']    void onTrigger(Map&lt;String, Object&gt; data) { info.putAll(data);
 * ota.download({'url': …, 'store_path': …})          ota.download(Map.of("url", …, "store_path", …))
 * def on_download(data): if data >= 0: …             void onDownload(int data) { if (data >= 0) …
 * </pre>
 *
 * <p>It differs from the original in three things. It does not verify what could not be downloaded. It installs what it
 * verified, and reports the new version. And it keeps the firmware, module {@code default}, in two slots, if it is told where:
 * such an upgrade runs by itself, then the program ends, and whoever started it starts it again.
 */
public final class LegacyProgram implements AutoCloseable {

    private static final String USAGE = """
            usage: OTA_DEVICE_SECRET=<secret> java … io.otaflux.samples.legacy.LegacyProgram name=value…
              productKey=K deviceName=D                 who this device is
              store_path=FILE install_path=FILE         where a download goes, and where the program is; one file system
              state=DIR                                 where downloads and the journal are kept
              module_name=app version=1.0.0             what is reported at the start
              region=cn-shanghai keepaliveSec=60
              host=H port=N tls=false ca_file=FILE      a platform elsewhere
              allow_http=true                           its files come over plain http
              allow_networks=192.168.0.0/16             its files come from there, not from the Internet
              firmware_dir=DIR firmware_version=1.0.0   where the slots of module default are""";

    private final Map<String, String> settings;
    private final Consumer<String> out;
    private final CountDownLatch connected = new CountDownLatch(1);
    private final CountDownLatch ended = new CountDownLatch(1);

    /** What the trigger said, and beside it store_path and install_path. Only callbacks touch it. */
    private final Map<String, Object> info = new HashMap<>();

    private final Device device = new Device();
    private final HttpArtifactSource source;
    private final Ota ota;
    private final @Nullable SlotInstaller slots;

    /**
     * @param settings what stands on the command line, and {@code deviceSecret}
     * @param out takes the lines that it prints
     * @throws IllegalArgumentException when one is missing
     */
    LegacyProgram(Map<String, String> settings, Consumer<String> out) {
        this.settings = Map.copyOf(settings);
        this.out = out;
        info.put("store_path", setting("store_path"));
        info.put("install_path", setting("install_path"));

        // new Ota() is enough where files come over https from the Internet and the state may be in the user's home.
        this.source = HttpArtifactSource.builder()
                .allowHttp(setting("allow_http", "false").equals("true"))
                .allowNetworks(
                        settings.containsKey("allow_networks")
                                ? setting("allow_networks").split(",", -1)
                                : new String[0])
                .build();
        Ota.Builder module = Ota.builder().source(source).stateDirectory(Path.of(setting("state")));
        String firmware = settings.get("firmware_dir");
        this.slots = firmware == null ? null : SlotInstaller.in(Path.of(firmware));
        if (slots != null) {
            module.firmware(new Restarting(slots));
        }
        this.ota = module.build();
    }

    /** Runs until the device is to be restarted; settings are {@code name=value}, the secret is in the environment. */
    public static void main(String[] args) throws InterruptedException {
        Map<String, String> settings = new HashMap<>();
        for (String arg : args) {
            String[] nameAndValue = arg.split("=", 2);
            settings.put(nameAndValue[0], nameAndValue.length == 2 ? nameAndValue[1] : "");
        }
        settings.put("deviceSecret", Objects.requireNonNullElse(System.getenv("OTA_DEVICE_SECRET"), ""));
        try (LegacyProgram program = new LegacyProgram(settings, LegacyProgram::print)) {
            Runtime.getRuntime().addShutdownHook(new Thread(program::close));
            program.run();
        } catch (IllegalArgumentException e) {
            System.err.println(e.getMessage() + System.lineSeparator() + USAGE);
            System.exit(2);
        }
    }

    private static void print(String line) {
        System.out.println(line);
    }

    /** The program: network, connection, upgrades. */
    void run() throws InterruptedException {
        // Before anything that may fail: a firmware that does not come up is given up after some starts.
        String firmwareVersion = slots == null ? null : firmwareVersion(slots);

        // 1. Wait for the network.
        while (!isNetworkUp()) {
            Thread.sleep(500);
        }

        // 2. Connect to the platform, and wait until it has let us in.
        check("device.on", device.on(Device.ON_CONNECT, this::onConnect));
        check("device.connect", device.connect(keyInfo()));
        connected.await();
        if (ended.getCount() == 0) {
            return;
        }

        // 3. Start the service.
        check("ota.init", ota.init(Map.of("device_handle", device.getDeviceHandle())));

        // 4. Register the callbacks.
        check("ota.on", ota.on(1, this::onTrigger));
        check("ota.on", ota.on(2, this::onDownload));
        check("ota.on", ota.on(3, this::onVerify));

        // 5. Report what runs here; the platform then knows what to send.
        report(setting("module_name", "app"), setting("version", "1.0.0"));
        if (firmwareVersion != null) {
            report("default", firmwareVersion);
        }

        // 6. Run.
        ended.await();
    }

    private void onConnect(Map<String, Object> data) {
        out.accept("connected");
        connected.countDown();
    }

    private void onTrigger(Map<String, Object> data) {
        info.putAll(data);
        ota.download(Map.of("url", info.get("url"), "store_path", info.get("store_path")));
    }

    private void onDownload(int data) {
        if (data >= 0) {
            out.accept("Ota download succeed");
            ota.verify(info);
        } else {
            out.accept("Ota download failed: " + data);
        }
    }

    private void onVerify(int data) {
        if (data >= 0) {
            out.accept("Ota verify succeed");
            install();
        } else {
            out.accept("Ota verify failed: " + data);
        }
    }

    /** The program's own business, as in the original: a restart of what is installed there belongs here, too. */
    private void install() {
        Path path = Path.of(text("install_path")).toAbsolutePath();
        try {
            // In one step: whoever starts the program has the old one or the new one, never half of one.
            Files.move(Path.of(text("store_path")), path, StandardCopyOption.ATOMIC_MOVE);
            // And it stays the new one when the power fails after the platform was told.
            try (FileChannel directory = FileChannel.open(Objects.requireNonNull(path.getParent()))) {
                directory.force(true);
            }
        } catch (IOException e) {
            out.accept("Ota install failed: " + e);
            return;
        }
        out.accept("Ota install succeed");
        report(text("module_name"), text("version"));
    }

    private void report(String moduleName, String version) {
        int code = ota.report(Map.of(
                "device_handle", device.getDeviceHandle(),
                "product_key", setting("productKey"),
                "device_name", setting("deviceName"),
                "module_name", moduleName,
                "version", version));
        check("ota.report", code);
    }

    private Map<String, Object> keyInfo() {
        Map<String, Object> keyInfo = new HashMap<>(Map.of(
                "region", setting("region", "cn-shanghai"),
                "productKey", setting("productKey"),
                "deviceName", setting("deviceName"),
                "deviceSecret", setting("deviceSecret"),
                "keepaliveSec", Integer.valueOf(setting("keepaliveSec", "60")),
                "tls", !setting("tls", "true").equals("false")));
        if (settings.containsKey("host")) {
            keyInfo.put("host", setting("host"));
        }
        if (settings.containsKey("port")) {
            keyInfo.put("port", Integer.valueOf(setting("port")));
        }
        if (settings.containsKey("ca_file")) {
            keyInfo.put("ca_file", setting("ca_file"));
        }
        return keyInfo;
    }

    private String firmwareVersion(SlotInstaller installer) {
        return Objects.requireNonNull(installer
                .boot()
                .map(SlotInstaller.Boot::version)
                .defaultIfEmpty(setting("firmware_version", "1.0.0"))
                .block(Duration.ofSeconds(30)));
    }

    /** A platform on this very machine, as in a trial, is reached by the loopback interface; others by any other. */
    private boolean isNetworkUp() {
        try {
            boolean here = InetAddress.getByName(settings.getOrDefault("host", "0.0.0.0"))
                    .isLoopbackAddress();
            Enumeration<NetworkInterface> interfaces = NetworkInterface.getNetworkInterfaces();
            while (interfaces.hasMoreElements()) {
                NetworkInterface candidate = interfaces.nextElement();
                if (candidate.isUp() && candidate.isLoopback() == here) {
                    return true;
                }
            }
            return false;
        } catch (UnknownHostException | SocketException e) {
            // No name server, or an interface that went away while it was looked at: not yet.
            return false;
        }
    }

    private String text(String key) {
        return String.valueOf(info.get(key));
    }

    private String setting(String name) {
        String value = settings.get(name);
        if (value == null || value.isEmpty()) {
            throw new IllegalArgumentException(name + ": missing");
        }
        return value;
    }

    private String setting(String name, String otherwise) {
        return settings.getOrDefault(name, otherwise);
    }

    private static void check(String call, int code) {
        if (code < 0) {
            throw new IllegalStateException(call + " answered " + code + " (expected: 0)");
        }
    }

    /** Ends the program when a firmware is in place that runs after the next start. */
    private final class Restarting implements Installer {

        private final SlotInstaller slots;

        Restarting(SlotInstaller slots) {
            this.slots = slots;
        }

        @Override
        public Mono<Effect> install(Verified verified) {
            return slots.install(verified).doOnNext(effect -> {
                if (effect == Effect.AFTER_RESTART) {
                    ended.countDown();
                }
            });
        }

        @Override
        public Mono<Void> confirm(UpgradeTrigger trigger) {
            return slots.confirm(trigger);
        }

        @Override
        public boolean awaitsRestart(UpgradeTrigger trigger) {
            return slots.awaitsRestart(trigger);
        }
    }

    /** Ends {@link #run}; what is under way is gone on with at the next start. Closing twice does nothing. */
    @Override
    public synchronized void close() {
        ended.countDown();
        connected.countDown();
        ota.close();
        device.close().block(Duration.ofSeconds(10));
        source.close().block(Duration.ofSeconds(10));
    }
}
