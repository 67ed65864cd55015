package io.otaflux.transport.aliyun;

import static io.otaflux.transport.aliyun.TestPlatform.eventually;
import static io.otaflux.transport.aliyun.TestTopology.GATEWAY;
import static io.otaflux.transport.aliyun.TestTopology.sub;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.otaflux.DeviceId;
import io.otaflux.UpgradeChannel.Delivery;
import io.otaflux.UpgradeEvent;
import io.otaflux.UpgradeTrigger;
import io.otaflux.testkit.MosquittoBroker;
import io.otaflux.testkit.RequiresProgram;
import io.otaflux.transport.aliyun.GatewayException.Refusal;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** A gateway's conversation about the devices behind it, on a real broker. */
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
class AliyunGatewayTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private MosquittoBroker broker;
    private TestTopology platform;
    private AliyunDevice device;
    private AliyunGateway gateway;
    private final List<GatewayEvent> events = new CopyOnWriteArrayList<>();

    @BeforeEach
    void open() throws Exception {
        // Thousands of messages: it is not to write all it knows to the disk after each, nor about each to its log.
        broker = MosquittoBroker.configure()
                .line("log_type none")
                .line("autosave_on_changes false")
                .start();
        platform = TestTopology.on(broker);
        device = TestPlatform.device(broker.port()).build();
        gateway = device.gateway();
        gateway.events().subscribe(events::add);
    }

    @AfterEach
    void close() {
        device.close().block(PATIENCE);
        platform.close();
        broker.close();
    }

    // ---- Topology and registration ----

    @Test
    void devicesAreAddedToTheTopologyAskedForAndTakenOutOfIt() {
        platform.knows(sub(1));
        platform.knows(sub(2));

        gateway.add(List.of(sub(1), sub(2))).block(PATIENCE);
        assertThat(gateway.get().block(PATIENCE)).containsExactlyInAnyOrder(sub(1).id(), sub(2).id());
        gateway.delete(List.of(sub(1).id())).block(PATIENCE);
        assertThat(gateway.get().block(PATIENCE)).containsExactly(sub(2).id());
        gateway.found(List.of(sub(3).id())).block(PATIENCE);

        assertThat(platform.heard("/thing/topo/get").get(0).message().path("params"))
                .hasToString("{}");
        assertThat(platform.heard("/thing/list/found").get(0).message().path("params"))
                .hasToString("[{\"productKey\":\"a1SubProduct\",\"deviceName\":\"sub-3\"}]");
    }

    @Test
    void oneDeviceThatMayNotBeAddedDoesNotKeepOutTheOthers() {
        range(1, 40, TestTopology::sub).stream()
                .filter(sub -> !sub.equals(sub(7)))
                .forEach(platform::knows);

        GatewayException refused = catchThrowableOfType(
                GatewayException.class,
                () -> gateway.add(range(1, 40, TestTopology::sub)).block(PATIENCE));

        assertThat(refused.refusal()).isEqualTo(Refusal.BAD_SIGNATURE);
        assertThat(platform.topology()).hasSize(39).doesNotContain(sub(7).id());
    }

    @Test
    void atMostThirtyDevicesAreRegisteredInARequestAndTheirSecretsHandedBack() {
        List<DeviceId> devices = range(1, 31, number -> sub(number).id());

        List<SubDevice> registered = gateway.register(devices).collectList().block(PATIENCE);
        List<SubDevice> proxied =
                gateway.register("CANARY-product-secret", devices).collectList().block(PATIENCE);
        gateway.unregister(devices).block(PATIENCE);

        assertThat(registered).extracting(SubDevice::id).containsExactlyElementsOf(devices);
        assertThat(registered.get(30).deviceSecret()).isEqualTo("CANARY-registered-sub-31");
        assertThat(proxied).isEqualTo(registered);
        assertThat(platform.heard("/sub/register"))
                .extracting(heard -> heard.message().path("params").size())
                .containsExactly(30, 1);
        assertThat(platform.heard("/product_register")
                        .get(0)
                        .message()
                        .path("params")
                        .path("proxieds"))
                .hasSize(30);
        assertThat(platform.heard("/sub/unregister")).hasSize(2);
    }

    @Test
    void whatThePlatformIsTooBusyForIsAskedAgainAndARefusalIsNot() {
        platform.answer("/thing/topo/get", 429, 500, 200);
        assertThat(gateway.get().block(PATIENCE)).isEmpty();
        assertThat(platform.heard("/thing/topo/get")).hasSize(3);

        platform.answer("/thing/topo/get", 460);
        assertThatThrownBy(() -> gateway.get().block(PATIENCE))
                .isInstanceOfSatisfying(
                        GatewayException.class, e -> assertThat(e.refusal()).isEqualTo(Refusal.BAD_REQUEST))
                .hasMessageContaining("thing.topo.get")
                .hasMessageContaining("460");
        assertThat(platform.heard("/thing/topo/get")).hasSize(4);
    }

    @Test
    void whatThePlatformTellsAboutTheTopologyIsAnsweredAndToldOn() {
        gateway.get().block(PATIENCE);
        String sys = "/sys/" + GATEWAY.product() + "/" + GATEWAY.name() + "/thing/topo/";

        platform.send(
                sys + "change",
                "{\"id\":\"5\",\"version\":\"1.0\",\"params\":{\"status\":0,\"subList\":[{\"productKey\":\"p\","
                        + "\"deviceName\":\"d\"}]},\"method\":\"thing.topo.change\"}");
        platform.send(
                sys + "add/notify",
                "{\"id\":6,\"params\":[{\"productKey\":\"p\",\"deviceName\":\"e\"}],\"method\":\"thing.topo.add.notify\"}");
        platform.send(sys + "change", "{\"id\":");

        eventually(
                PATIENCE,
                () -> assertThat(events)
                        .containsExactly(
                                new GatewayEvent.TopologyChanged(List.of(new DeviceId("p", "d"))),
                                new GatewayEvent.AddRequested(List.of(new DeviceId("p", "e")))));
        eventually(
                PATIENCE,
                () -> assertThat(platform.heard("_reply"))
                        .extracting(heard -> heard.message().toString())
                        .containsExactly(
                                "{\"id\":\"5\",\"code\":200,\"data\":{},\"message\":\"success\"}",
                                "{\"id\":\"6\",\"code\":200,\"data\":{},\"message\":\"success\"}"));
        eventually(PATIENCE, () -> assertThat(device.skippedMessages()).isEqualTo(1));
    }

    // ---- Sessions ----

    @Test
    void oneDeviceIsLoggedInAloneAndSeveralTogether() {
        range(1, 3, TestTopology::sub).forEach(platform::has);

        gateway.login(sub(1)).block(PATIENCE);
        assertThat(loginAll(List.of(sub(2), sub(3), sub(1))))
                .containsExactlyInAnyOrder(
                        new GatewayEvent.LoggedIn(sub(1).id()),
                        new GatewayEvent.LoggedIn(sub(2).id()),
                        new GatewayEvent.LoggedIn(sub(3).id()));

        assertThat(platform.heard("/login")).hasSize(1);
        assertThat(platform.heard("/batch_login")).hasSize(1);
        assertThat(platform.online()).hasSize(3);
        gateway.logout(List.of(sub(1).id())).block(PATIENCE);
        gateway.logout(List.of(sub(2).id(), sub(3).id())).block(PATIENCE);
        assertThat(platform.heard("/logout")).hasSize(1);
        assertThat(platform.heard("/batch_logout")).hasSize(1);
        assertThat(platform.online()).isEmpty();
    }

    @Test
    void oneBadDeviceOfABatchOfFiftyKeepsNobodyOut() {
        List<SubDevice> subs = range(1, 50, TestTopology::sub);
        subs.forEach(platform::has);
        SubDevice bad = new SubDevice(sub(17).productKey(), sub(17).deviceName(), "CANARY-wrong");
        List<SubDevice> wanted =
                subs.stream().map(sub -> sub.equals(sub(17)) ? bad : sub).toList();

        List<GatewayEvent> answers = loginAll(wanted);

        assertThat(answers).hasSize(50);
        assertThat(answers.stream().filter(GatewayEvent.LoginRefused.class::isInstance))
                .singleElement()
                .satisfies(event -> {
                    GatewayEvent.LoginRefused refused = (GatewayEvent.LoginRefused) event;
                    assertThat(refused.device()).isEqualTo(bad.id());
                    assertThat(refused.cause().refusal()).isEqualTo(Refusal.BAD_SIGNATURE);
                });
        assertThat(platform.online()).hasSize(49);
        assertThat(platform.heard("/batch_login")).hasSize(1);
        assertThat(platform.heard("/combine/login")).hasSize(50);
        assertThatThrownBy(() -> device.upgrades().report(bad.id(), "app", "1").block(PATIENCE))
                .isInstanceOf(GatewayException.class)
                .hasMessageContaining("BAD_SIGNATURE");
        device.upgrades().report(sub(18).id(), "app", "1").block(PATIENCE);

        // With the right secret it is one that is let in.
        gateway.login(sub(17)).block(PATIENCE);
        assertThat(platform.online()).hasSize(50);
    }

    @Test
    void aPlatformThatIsBusyOrSilentIsAskedAgain() {
        range(1, 2, TestTopology::sub).forEach(platform::has);
        platform.answer("/batch_login", 429, 500);

        assertThat(loginAll(List.of(sub(1), sub(2)))).allMatch(GatewayEvent.LoggedIn.class::isInstance);

        assertThat(platform.heard("/batch_login")).hasSize(3);
    }

    @Test
    void aDeviceThatIsNotInTheTopologyIsRefusedByName() {
        platform.knows(sub(1));

        assertThatThrownBy(() -> gateway.login(sub(1)).block(PATIENCE))
                .isInstanceOfSatisfying(
                        GatewayException.class, e -> assertThat(e.refusal()).isEqualTo(Refusal.NOT_IN_TOPOLOGY));
        gateway.add(List.of(sub(1))).then(gateway.login(sub(1))).block(PATIENCE);
        assertThat(platform.online()).containsExactly(sub(1).id());
    }

    @Test
    void afterAReconnectAllAreLoggedInAgainBeforeTheirReports() {
        List<SubDevice> subs = range(1, 60, TestTopology::sub);
        subs.forEach(platform::has);
        loginAll(subs);
        subs.forEach(sub -> device.upgrades().report(sub.id(), "app", "1").block(PATIENCE));
        // The broker has them all; the platform hears them a little later.
        eventually(
                PATIENCE,
                () -> subs.forEach(
                        sub -> assertThat(platform.versions(sub.id())).contains("app=1")));
        platform.forgetSessions();
        platform.forgetWhatWasHeard();

        broker.restart();

        eventually(
                PATIENCE,
                () -> subs.forEach(
                        sub -> assertThat(platform.versions(sub.id())).containsExactly("app=1")));
        assertThat(platform.online()).hasSize(60);
        List<String> topics = platform.topics().stream()
                .filter(topic -> topic.endsWith("login") || topic.contains("/inform/"))
                .toList();
        assertThat(topics.get(0)).endsWith("/batch_login");
        assertThat(platform.heard("/batch_login")).hasSize(2);
        assertThat(ids(platform)).doesNotHaveDuplicates();
    }

    @Test
    void anotherLoginOfADeviceIsToldAndNotFoughtOver() {
        range(1, 2, TestTopology::sub).forEach(platform::has);
        loginAll(List.of(sub(1), sub(2)));

        platform.error(sub(1), 427);

        eventually(PATIENCE, () -> assertThat(refusals(sub(1))).containsExactly(Refusal.LOGGED_IN_ELSEWHERE));
        platform.forgetSessions();
        broker.restart();
        eventually(PATIENCE, () -> assertThat(platform.online()).containsExactly(sub(2).id()));
        device.upgrades().report(sub(2).id(), "app", "1").block(PATIENCE);
        assertThat(platform.online()).containsExactly(sub(2).id());

        gateway.login(sub(1)).block(PATIENCE);
        assertThat(platform.online()).hasSize(2);
    }

    @Test
    void aSessionThatThePlatformHasLostIsMadeAgain() {
        platform.has(sub(1));
        gateway.login(sub(1)).block(PATIENCE);
        platform.forgetSessions();

        platform.error(sub(1), 520);

        eventually(PATIENCE, () -> assertThat(platform.online()).hasSize(1));
        assertThat(refusals(sub(1))).containsExactly(Refusal.NO_SESSION);
    }

    @Test
    void aDisabledDeviceFailsByNameUntilItIsEnabled() {
        range(1, 2, TestTopology::sub).forEach(platform::has);
        loginAll(List.of(sub(1), sub(2)));

        platform.order(sub(1), "disable");

        eventually(PATIENCE, () -> assertThat(refusals(sub(1))).containsExactly(Refusal.DISABLED));
        assertThatThrownBy(
                        () -> device.upgrades().report(sub(1).id(), "app", "1").block(PATIENCE))
                .isInstanceOf(GatewayException.class)
                .hasMessageContaining("disabled");
        device.upgrades().report(sub(2).id(), "app", "1").block(PATIENCE);
        platform.forgetSessions();
        platform.order(sub(1), "enable");
        eventually(PATIENCE, () -> assertThat(platform.online()).containsExactly(sub(1).id()));
        device.upgrades().report(sub(1).id(), "app", "2").block(PATIENCE);
        assertThat(events).contains(new GatewayEvent.Enabled(sub(1).id()));
        eventually(PATIENCE, () -> {
            assertThat(platform.heard("/thing/disable_reply"))
                    .extracting(heard -> heard.message().toString())
                    .containsExactly("{\"id\":\"77\",\"code\":200,\"data\":{},\"message\":\"success\"}");
            assertThat(platform.heard("/thing/enable_reply")).hasSize(1);
        });
    }

    @Test
    void aDeletedDeviceIsNoLongerWanted() {
        range(1, 2, TestTopology::sub).forEach(platform::has);
        loginAll(List.of(sub(1), sub(2)));

        platform.order(sub(1), "delete");
        eventually(PATIENCE, () -> assertThat(refusals(sub(1))).containsExactly(Refusal.DELETED));
        platform.error(sub(2), 521);
        eventually(PATIENCE, () -> assertThat(refusals(sub(2))).containsExactly(Refusal.DELETED));

        assertThatThrownBy(
                        () -> device.upgrades().report(sub(1).id(), "app", "1").block(PATIENCE))
                .isInstanceOf(GatewayException.class)
                .hasMessageContaining("not logged in");
        eventually(
                PATIENCE,
                () -> assertThat(platform.heard("/thing/delete_reply")).hasSize(1));
    }

    // ---- Upgrades ----

    @Test
    void triggersAndReportsOfAllDevicesGoOverTheOneChannelOnTopicsOfTheirOwn() {
        range(1, 2, TestTopology::sub).forEach(platform::has);
        List<UpgradeTrigger> triggers = new CopyOnWriteArrayList<>();
        device.upgrades()
                .triggers()
                .doOnNext(Delivery::acknowledge)
                .map(Delivery::trigger)
                .subscribe(triggers::add);
        loginAll(List.of(sub(1), sub(2)));
        device.upgrades().report(GATEWAY, "app", "1").block(PATIENCE);
        device.upgrades().report(sub(1).id(), "app", "1").block(PATIENCE);
        device.upgrades().report(sub(2).id(), "default", "3").block(PATIENCE);

        push(sub(2).id());
        push(GATEWAY);
        push(sub(1).id());
        push(new DeviceId("a1SubProduct", "unknown"));

        eventually(
                PATIENCE,
                () -> assertThat(triggers)
                        .extracting(UpgradeTrigger::device)
                        .containsExactlyInAnyOrder(sub(2).id(), GATEWAY, sub(1).id()));
        eventually(PATIENCE, () -> {
            assertThat(platform.versions(sub(1).id())).containsExactly("app=1");
            assertThat(platform.versions(sub(2).id())).containsExactly("default=3");
            assertThat(platform.versions(GATEWAY)).containsExactly("app=1");
        });
        // What was not pushed is asked for, in the end.
        eventually(
                PATIENCE,
                () -> assertThat(platform.heard("/a1SubProduct/sub-2/thing/ota/firmware/get"))
                        .hasSize(1));
        UpgradeTrigger of2 = triggers.stream()
                .filter(trigger -> trigger.device().equals(sub(2).id()))
                .findFirst()
                .orElseThrow();
        device.upgrades().report(new UpgradeEvent.Admitted(of2)).block(PATIENCE);
        eventually(
                PATIENCE,
                () -> assertThat(platform.heard("/ota/device/progress/a1SubProduct/sub-2"))
                        .hasSize(1));
        assertThat(device.upgrades().refresh(of2).block(PATIENCE)).isNull();
        assertThat(ids(platform)).doesNotHaveDuplicates();
    }

    @Test
    void aReportWaitsForTheLoginAndOneOfAnUnknownDeviceIsAnError() {
        platform.has(sub(1));
        platform.beSilent(true);
        Flux<GatewayEvent> login = gateway.login(List.of(sub(1))).cache();
        login.subscribe();

        Mono<Void> report = device.upgrades().report(sub(1).id(), "app", "1").cache();
        report.subscribe();
        eventually(PATIENCE, () -> assertThat(platform.heard("/login")).isNotEmpty());
        assertThat(platform.versions(sub(1).id())).isEmpty();
        assertThatThrownBy(
                        () -> device.upgrades().report(sub(9).id(), "app", "1").block(PATIENCE))
                .isInstanceOf(GatewayException.class)
                .hasMessageContaining("a1SubProduct/sub-9");

        // The answer never comes; the next connection brings it.
        platform.beSilent(false);
        broker.restart();
        report.block(PATIENCE);
        assertThat(login.collectList().block(PATIENCE)).containsExactly(new GatewayEvent.LoggedIn(sub(1).id()));
        eventually(PATIENCE, () -> assertThat(platform.versions(sub(1).id())).containsExactly("app=1"));

        gateway.logout(List.of(sub(1).id())).block(PATIENCE);
        assertThatThrownBy(
                        () -> device.upgrades().report(sub(1).id(), "app", "1").block(PATIENCE))
                .isInstanceOf(GatewayException.class);
    }

    @Test
    void twoThousandSubDevicesAreLoggedInOverOneConnection() {
        gateway.limit(new LoginRate(System::nanoTime, 1_000_000));
        List<SubDevice> subs = range(1, 2000, TestTopology::sub);
        subs.forEach(platform::has);

        List<GatewayEvent> answers = loginAll(subs);
        Flux.fromIterable(subs)
                .flatMap(sub -> device.upgrades().report(sub.id(), "app", "1"), 2000)
                .blockLast(PATIENCE);

        assertThat(answers).hasSize(2000).allMatch(GatewayEvent.LoggedIn.class::isInstance);
        assertThat(platform.heard("/batch_login")).hasSize(40);
        assertThat(platform.online()).hasSize(2000);
        eventually(
                PATIENCE,
                () -> assertThat(platform.topics().stream()
                                .filter(topic -> topic.contains("/inform/"))
                                .collect(Collectors.groupingBy(topic -> topic, Collectors.counting())))
                        .hasSize(2000)
                        .allSatisfy((topic, times) -> assertThat(times).isEqualTo(1)));
    }

    private List<GatewayEvent> loginAll(List<SubDevice> subs) {
        return gateway.login(subs).collectList().block(PATIENCE);
    }

    private List<Refusal> refusals(SubDevice sub) {
        return events.stream()
                .filter(event -> event instanceof GatewayEvent.LoginRefused refused
                        && refused.device().equals(sub.id()))
                .map(event -> ((GatewayEvent.LoginRefused) event).cause().refusal())
                .toList();
    }

    private void push(DeviceId to) {
        platform.send(
                "/ota/device/upgrade/" + to.product() + "/" + to.name(),
                "{\"code\":\"1000\",\"data\":{\"size\":1,\"version\":\"2\",\"url\":\"https://h/f\",\"module\":\"app\","
                        + "\"sign\":\"00112233445566778899aabbccddeeff\",\"signMethod\":\"Md5\"},\"id\":1}");
    }

    private static List<String> ids(TestTopology platform) {
        return platform.heard("").stream()
                .filter(heard -> !heard.topic().endsWith("_reply"))
                .map(heard -> heard.message().path("id").asText())
                .toList();
    }

    private static <T> List<T> range(int first, int last, IntFunction<T> each) {
        return IntStream.rangeClosed(first, last).mapToObj(each).toList();
    }
}
