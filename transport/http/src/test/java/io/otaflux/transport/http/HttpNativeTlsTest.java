package io.otaflux.transport.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslProvider;
import io.otaflux.testkit.RequiresProgram;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** The same with BoringSSL, which is what does TLS where it is on the class path. */
@EnabledOnOs(value = OS.LINUX, architectures = "amd64")
@RequiresProgram(value = "nginx", debianPackage = "nginx-light")
class HttpNativeTlsTest extends HttpTlsTest {

    @Override
    SslProvider provider() {
        return SslProvider.OPENSSL;
    }

    @Test
    void itIsTakenWithoutBeingAskedFor() {
        assertThat(SslContext.defaultClientProvider()).isEqualTo(SslProvider.OPENSSL);
    }
}
