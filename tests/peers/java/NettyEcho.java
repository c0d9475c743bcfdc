import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBufUtil;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.websocketx.CloseWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler;
import io.netty.handler.codec.http.websocketx.extensions.compression.WebSocketServerCompressionHandler;
import java.net.InetSocketAddress;

/**
 * Netty's own server, stock, sending back each frame: versions 00, 07, 08 and 13 on one port, as the client asks.
 *
 * <pre>NettyEcho [SUBPROTOCOL,SUBPROTOCOL|-] [compress]</pre>
 *
 * It says "listening PORT" first, then what it sees. Standard input's end is its end, so it cannot outlive the tests.
 * A client that sends the text "please close" is closed: with 1000 and "as you wish" where the dialect has a code.
 */
public final class NettyEcho {
    private static final int LARGEST = 1 << 26;

    private NettyEcho() {}

    public static void main(String[] words) throws Exception {
        String subprotocols = words.length > 0 && !words[0].equals("-") ? words[0] : null;
        boolean compress = words.length > 1 && words[1].equals("compress");
        EventLoopGroup loop = new NioEventLoopGroup(1);
        Channel listening = new ServerBootstrap()
            .group(loop)
            .channel(NioServerSocketChannel.class)
            .childHandler(new ChannelInitializer<SocketChannel>() {
                @Override
                protected void initChannel(SocketChannel channel) {
                    channel.pipeline().addLast(new HttpServerCodec(), new HttpObjectAggregator(65536));
                    if (compress) {
                        channel.pipeline().addLast(new WebSocketServerCompressionHandler());
                    }
                    channel.pipeline().addLast(
                        new WebSocketServerProtocolHandler("/", subprotocols, compress, LARGEST, false, true),
                        new Echo());
                }
            })
            .bind("127.0.0.1", 0).sync().channel();
        Events.say("listening", Integer.toString(((InetSocketAddress) listening.localAddress()).getPort()));
        while (System.in.read() >= 0) {
            continue;
        }
        System.exit(0); // a graceful shutdown takes two seconds, and nobody is left to be graceful to
    }

    private static final class Echo extends SimpleChannelInboundHandler<WebSocketFrame> {
        @Override
        protected void channelRead0(ChannelHandlerContext context, WebSocketFrame frame) {
            Events.say(frame instanceof TextWebSocketFrame ? "text" : "binary",
                Events.hex(ByteBufUtil.getBytes(frame.content())));
            if (frame instanceof TextWebSocketFrame && ((TextWebSocketFrame) frame).text().equals("please close")) {
                context.writeAndFlush(new CloseWebSocketFrame(1000, "as you wish"));
            } else {
                context.writeAndFlush(frame.retain());
            }
        }

        @Override
        public void userEventTriggered(ChannelHandlerContext context, Object event) {
            if (event instanceof WebSocketServerProtocolHandler.HandshakeComplete) {
                WebSocketServerProtocolHandler.HandshakeComplete done =
                    (WebSocketServerProtocolHandler.HandshakeComplete) event;
                Events.say("open", done.requestUri(),
                    done.selectedSubprotocol() == null ? "-" : done.selectedSubprotocol());
            }
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            Events.say("lost");
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            Events.say("failed", Events.hex(cause.toString()));
            context.close();
        }
    }
}
