package mme;

import com.amazonaws.ml.mms.ModelServer;
import com.amazonaws.ml.mms.ServerInitializer;
import com.amazonaws.ml.mms.servingsdk.impl.PluginsManager;
import com.amazonaws.ml.mms.util.ConfigManager;
import com.amazonaws.ml.mms.util.Connector;
import com.amazonaws.ml.mms.util.ConnectorType;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.FixedRecvByteBufAllocator;
import io.netty.util.internal.logging.InternalLoggerFactory;
import io.netty.util.internal.logging.Slf4JLoggerFactory;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.apache.commons.cli.DefaultParser;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * MMS with a {@link Guard} before it: MMS itself has no setting that limits what may be loaded, and
 * its plug-ins see a request only where they answer it.
 *
 * <p>MMS's own main class does the same without the guard (ModelServer.main, initializeServer).
 */
public final class Main extends ModelServer {

    private static final Logger LOGGER = LoggerFactory.getLogger(Main.class);

    private final Path models;

    private Main(ConfigManager config, Path models) {
        super(config);
        this.models = models;
    }

    public static void main(String[] arguments) {
        try {
            ConfigManager.init(
                    new ConfigManager.Arguments(
                            new DefaultParser()
                                    .parse(ConfigManager.Arguments.getOptions(), arguments)));
            PluginsManager.getInstance().initialize();
            InternalLoggerFactory.setDefaultFactory(Slf4JLoggerFactory.INSTANCE);
            Path models = Paths.get(System.getProperty("mme.models"));
            new Main(ConfigManager.getInstance(), models).startAndWait();
        } catch (Throwable e) {
            LOGGER.error("The model server cannot go on", e);
        } finally {
            System.exit(1);
        }
    }

    /** Listen at an address; the future is that of the end of listening. */
    @Override
    public ChannelFuture initializeServer(
            Connector connector, EventLoopGroup listening, EventLoopGroup working, ConnectorType type)
            throws InterruptedException, IOException {
        ServerBootstrap server =
                new ServerBootstrap()
                        .group(listening, working)
                        .channel(connector.getServerChannel())
                        .option(ChannelOption.SO_BACKLOG, 1024)
                        .childOption(
                                ChannelOption.RCVBUF_ALLOCATOR,
                                new FixedRecvByteBufAllocator(MAX_RCVBUF_SIZE))
                        .childHandler(guarded(type, isLoopback(connector)));
        if (!connector.isUds()) {
            server.childOption(ChannelOption.SO_LINGER, 0)
                    .childOption(ChannelOption.SO_REUSEADDR, true)
                    .childOption(ChannelOption.SO_KEEPALIVE, true);
        }
        ChannelFuture bound = server.bind(connector.getSocketAddress()).await();
        if (!bound.isSuccess()) {
            throw new IOException("Failed to bind to address: " + connector, bound.cause());
        }
        LOGGER.info("The API is bound to: {}", connector);
        return bound.channel().closeFuture();
    }

    private static boolean isLoopback(Connector connector) {
        return !connector.isUds()
                && ((InetSocketAddress) connector.getSocketAddress())
                        .getAddress()
                        .isLoopbackAddress();
    }

    private ServerInitializer guarded(ConnectorType type, boolean local) {
        return new ServerInitializer(null, type) {
            @Override
            public void initChannel(Channel channel) {
                super.initChannel(channel);
                channel.pipeline().addBefore("handler", "guard", new Guard(models, local));
            }
        };
    }
}
