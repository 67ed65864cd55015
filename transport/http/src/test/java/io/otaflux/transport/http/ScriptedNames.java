package io.otaflux.transport.http;

import io.netty.resolver.AddressResolver;
import io.netty.resolver.AddressResolverGroup;
import io.netty.resolver.InetNameResolver;
import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.Promise;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CopyOnWriteArrayList;

/** A name server that answers each question, whatever the name, with the next line of its script. */
final class ScriptedNames extends AddressResolverGroup<InetSocketAddress> {

    private final Queue<List<String>> script = new ArrayDeque<>();
    private final List<String> asked = new CopyOnWriteArrayList<>();

    /** Adds an answer of these addresses. */
    synchronized ScriptedNames then(String... addresses) {
        script.add(List.of(addresses));
        return this;
    }

    /** The names that were asked for, in order. */
    List<String> asked() {
        return asked;
    }

    private synchronized List<InetAddress> answer(String name) throws UnknownHostException {
        asked.add(name);
        List<String> addresses = script.poll();
        if (addresses == null) {
            throw new UnknownHostException(name);
        }
        return addresses.stream().map(Networks::literal).toList();
    }

    @Override
    protected AddressResolver<InetSocketAddress> newResolver(EventExecutor executor) {
        return new InetNameResolver(executor) {
            @Override
            protected void doResolve(String name, Promise<InetAddress> promise) throws Exception {
                promise.setSuccess(answer(name).get(0));
            }

            @Override
            protected void doResolveAll(String name, Promise<List<InetAddress>> promise) throws Exception {
                promise.setSuccess(answer(name));
            }
        }.asAddressResolver();
    }
}
