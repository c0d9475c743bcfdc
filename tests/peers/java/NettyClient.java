import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.DefaultHttpHeaders;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.websocketx.BinaryWebSocketFrame;
import io.netty.handler.codec.http.websocketx.CloseWebSocketFrame;
import io.netty.handler.codec.http.websocketx.ContinuationWebSocketFrame;
import io.netty.handler.codec.http.websocketx.PingWebSocketFrame;
import io.netty.handler.codec.http.websocketx.PongWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketClientHandshaker;
import io.netty.handler.codec.http.websocketx.WebSocketClientHandshakerFactory;
import io.netty.handler.codec.http.websocketx.WebSocketClientProtocolHandler;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketVersion;
import io.netty.handler.codec.http.websocketx.extensions.compression.WebSocketClientCompressionHandler;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;

/**
 * Netty's own client, stock, told what to do by the lines of its standard input.
 *
 * <pre>NettyClient V00|V07|V08|V13 URL [ORIGIN|-] [SUBPROTOCOL,SUBPROTOCOL|-] [compress]</pre>
 *
 * Lines in: text HEX, binary HEX, ping HEX, start HEX, more HEX, last HEX (the fragments of one text), close, leave
 * (ends the TCP connection only). Lines out: open SUBPROTOCOL, text HEX, binary HEX, pong HEX, continuation HEX,
 * close CODE REASON, failed WHY, lost. Standard input's end is its end.
 */
public final class NettyClient {
    private static final int LARGEST = 1 << 26;

    private NettyClient() {}

    public static void main(String[] words) throws Exception {
        URI url = new URI(words[1]);
        HttpHeaders extra = new DefaultHttpHeaders();
        if (given(words, 2)) {
            extra.set(HttpHeaderNames.ORIGIN, words[2]);
        }
        boolean compress = words.length > 4 && words[4].equals("compress");
        WebSocketClientHandshaker handshaker = WebSocketClientHandshakerFactory.newHandshaker(
            url, WebSocketVersion.valueOf(words[0]), given(words, 3) ? words[3] : null, compress, extra, LARGEST);
        EventLoopGroup loop = new NioEventLoopGroup(1);
        Channel channel = new Bootstrap()
            .group(loop)
            .channel(NioSocketChannel.class)
            .handler(new ChannelInitializer<SocketChannel>() {
                @Override
                protected void initChannel(SocketChannel channel) {
                    channel.pipeline().addLast(new HttpClientCodec(), new HttpObjectAggregator(65536));
                    if (compress) {
                        channel.pipeline().addLast(WebSocketClientCompressionHandler.INSTANCE);
                    }
                    // false, false: close frames are ours to see and to answer, and pongs are not dropped.
                    channel.pipeline().addLast(new WebSocketClientProtocolHandler(handshaker, false, false),
                        new Report(handshaker));
                }
            })
            .connect(url.getHost(), url.getPort()).sync().channel();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            obey(channel, handshaker, line.split(" "));
        }
        System.exit(0); // a graceful shutdown takes two seconds, and nobody is left to be graceful to
    }

    private static boolean given(String[] words, int index) {
        return words.length > index && !words[index].equals("-");
    }

    private static void obey(Channel channel, WebSocketClientHandshaker handshaker, String[] words) {
        switch (words[0]) {
            case "text":
                channel.writeAndFlush(new TextWebSocketFrame(Events.text(words[1])));
                break;
            case "binary":
                channel.writeAndFlush(new BinaryWebSocketFrame(Unpooled.wrappedBuffer(Events.bytes(words[1]))));
                break;
            case "ping":
                channel.writeAndFlush(new PingWebSocketFrame(Unpooled.wrappedBuffer(Events.bytes(words[1]))));
                break;
            case "start":
                channel.writeAndFlush(new TextWebSocketFrame(false, 0, Events.text(words[1])));
                break;
            case "more":
            case "last":
                channel.writeAndFlush(
                    new ContinuationWebSocketFrame(words[0].equals("last"), 0, Events.text(words[1])));
                break;
            case "close":
                handshaker.close(channel, new CloseWebSocketFrame(1000, "enough"));
                break;
            case "leave":
                channel.close();
                break;
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    private static final class Report extends SimpleChannelInboundHandler<WebSocketFrame> {
        private final WebSocketClientHandshaker handshaker;

        Report(WebSocketClientHandshaker handshaker) {
            this.handshaker = handshaker;
        }

        @Override
        protected void channelRead0(ChannelHandlerContext context, WebSocketFrame frame) {
            if (frame instanceof CloseWebSocketFrame) {
                CloseWebSocketFrame close = (CloseWebSocketFrame) frame;
                Events.say("close", Integer.toString(close.statusCode()), Events.hex(close.reasonText()));
                handshaker.close(context.channel(), close.retain());
            } else {
                Events.say(word(frame), Events.hex(ByteBufUtil.getBytes(frame.content())));
            }
        }

        private static String word(WebSocketFrame frame) {
            return frame instanceof TextWebSocketFrame ? "text"
                : frame instanceof BinaryWebSocketFrame ? "binary"
                : frame instanceof PongWebSocketFrame ? "pong"
                : "continuation";
        }

        @Override
        public void userEventTriggered(ChannelHandlerContext context, Object event) {
            if (event == WebSocketClientProtocolHandler.ClientHandshakeStateEvent.HANDSHAKE_COMPLETE) {
                String subprotocol = handshaker.actualSubprotocol();
                Events.say("open", subprotocol == null || subprotocol.isEmpty() ? "-" : subprotocol);
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
