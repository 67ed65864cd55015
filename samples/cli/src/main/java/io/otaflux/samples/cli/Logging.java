package io.otaflux.samples.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.pattern.TargetLengthBasedClassNameAbbreviator;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.IThrowableProxy;
import ch.qos.logback.classic.spi.LogbackServiceProvider;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.ConsoleAppender;
import ch.qos.logback.core.CoreConstants;
import ch.qos.logback.core.LayoutBase;
import ch.qos.logback.core.encoder.LayoutWrappingEncoder;
import ch.qos.logback.core.joran.spi.ConsoleTarget;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * What is logged: what a command has to say it says itself, an error in one line; what the library logs of the same would be
 * a second one. With {@code OTAFLUX_LOG_LEVEL=INFO}, or {@code DEBUG}, everybody is heard.
 *
 * <p>In code, since to read it from XML, and even to look for who might know it, took longer than a small download. Whoever has
 * a configuration of his own names it with {@code -Dlogback.configurationFile}, in {@code JAVA_OPTS}.
 */
public final class Logging extends LogbackServiceProvider {

    private static final String PROVIDER = "slf4j.provider";

    /**
     * Makes this the logging of the process, if nothing has been logged yet. It is not where the command line is part of
     * another program, a test say.
     */
    static void configureHere() {
        if (System.getProperty("logback.configurationFile") == null && System.getProperty(PROVIDER) == null) {
            System.setProperty(PROVIDER, Logging.class.getName());
            // Otherwise it says that it was told so.
            System.setProperty("slf4j.internal.verbosity", "WARN");
        }
    }

    @Override
    public void initialize() {
        LoggerContext logging = (LoggerContext) getLoggerFactory();
        logging.setName(CoreConstants.DEFAULT_CONTEXT_NAME);
        logging.setMDCAdapter(getMDCAdapter());
        configure(logging);
        logging.start();
    }

    private static void configure(LoggerContext logging) {
        Lines lines = new Lines();
        lines.setContext(logging);
        lines.start();
        LayoutWrappingEncoder<ILoggingEvent> encoder = new LayoutWrappingEncoder<>();
        encoder.setContext(logging);
        encoder.setLayout(lines);
        encoder.start();
        ConsoleAppender<ILoggingEvent> console = new ConsoleAppender<>();
        console.setContext(logging);
        console.setTarget(ConsoleTarget.SystemErr.getName());
        console.setEncoder(encoder);
        console.start();
        logging.getLogger(Logger.ROOT_LOGGER_NAME).addAppender(console);

        Level wanted = level(System.getenv("OTAFLUX_LOG_LEVEL"));
        set(logging, Logger.ROOT_LOGGER_NAME, wanted, Level.WARN);
        set(logging, "org.apache.activemq", wanted, Level.ERROR);
        set(logging, "org.apache.artemis", wanted, Level.ERROR);
        set(logging, "io.netty", wanted, Level.ERROR);
        set(logging, "reactor.netty", wanted, Level.OFF);
        set(logging, "io.otaflux", wanted, Level.OFF);
        set(logging, "io.otaflux.samples", wanted, Level.WARN);
    }

    private static void set(LoggerContext logging, String name, @Nullable Level wanted, Level usual) {
        logging.getLogger(name).setLevel(wanted == null ? usual : wanted);
    }

    private static @Nullable Level level(@Nullable String name) {
        return name == null || name.isEmpty() ? null : Level.toLevel(name);
    }

    /** What {@code %d{HH:mm:ss.SSS} %-5level %logger{20} - %msg%n} would print, which takes a while to read. */
    private static final class Lines extends LayoutBase<ILoggingEvent> {

        @Override
        public String doLayout(ILoggingEvent event) {
            String line = String.format(
                    "%tT.%<tL %-5s %s - %s%n",
                    event.getTimeStamp(),
                    event.getLevel(),
                    new TargetLengthBasedClassNameAbbreviator(20).abbreviate(event.getLoggerName()),
                    event.getFormattedMessage());
            IThrowableProxy failure = event.getThrowableProxy();
            return failure == null ? line : line + ThrowableProxyUtil.asString(failure);
        }
    }
}
