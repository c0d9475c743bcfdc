import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpHeaders;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.websocketx.BinaryWebSocketFrame;
import io.netty.handler.codec.http.websocketx.CloseWebSocketFrame;
import io.netty.handler.codec.http.websocketx.ContinuationWebSocketFrame;
import io.netty.handler.codec.http.websocketx.PingWebSocketFrame;
import io.netty.handler.codec.http.websocketx.PongWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketClientHandshaker;
import io.netty.handler.codec.http.websocketx.WebSocketClientHandshakerFactory;
import io.netty.handler.codec.http.websocketx.WebSocketClientProtocolHandler;
import io.netty.handler.codec.http.websocketx.WebSocketDecoderConfig;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolConfig;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler;
import io.netty.handler.codec.http.websocketx.WebSocketVersion;
import io.netty.handler.codec.http.websocketx.extensions.WebSocketClientExtensionHandler;
import io.netty.handler.codec.http.websocketx.extensions.WebSocketServerExtensionHandler;
import io.netty.handler.codec.http.websocketx.extensions.compression.DeflateFrameClientExtensionHandshaker;
import io.netty.handler.codec.http.websocketx.extensions.compression.DeflateFrameServerExtensionHandshaker;
import io.netty.handler.codec.http.websocketx.extensions.compression.PerMessageDeflateClientExtensionHandshaker;
import io.netty.handler.codec.http.websocketx.extensions.compression.PerMessageDeflateServerExtensionHandshaker;
import io.netty.handler.codec.http.websocketx.extensions.compression.WebSocketClientCompressionHandler;
import io.netty.handler.codec.http.websocketx.extensions.compression.WebSocketServerCompressionHandler;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;


/**
 * Netty, client and server, versions 07, 08 and 13; what it is told and what it says is in peer_commands.py.
 *
 * "fresh" is Netty's handlers with every allowance for no context takeover given, "frame" x-webkit-deflate-frame.
 * What comes in frames goes back in frames, as it came.
 */
public final class NettyPeer {
    private static final int LARGEST = 1 << 26;
    private static final EventLoopGroup LOOP = new NioEventLoopGroup(1);

    private static volatile int talk;
    private static Channel listening;
    private static volatile Channel channel;

    private NettyPeer() {}

    public static void main(String[] words) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            try {
                obey(line.split(" "));
            } catch (Exception error) {
                Events.say("failed", Events.hex(error.toString()));
            }
        }
        System.exit(0); // a graceful shutdown takes two seconds, and nobody is left to be graceful to
    }

    private static void obey(String[] words) throws Exception {
        switch (words[0]) {
            case "reset":
                talk++;
                if (channel != null) {
                    channel.close().sync();
                }
                if (listening != null) {
                    listening.close().sync();
                }
                channel = null;
                listening = null;
                Events.say("ready", words[1]);
                break;
            case "serve":
                serve(words[1]);
                break;
            case "connect":
                connect(words);
                break;
            case "pieces":
                int last = words.length - 1;
                for (int i = 1; i <= last; i++) {
                    String part = Events.text(words[i]);
                    channel.writeAndFlush(i == 1
                        ? new TextWebSocketFrame(i == last, 0, part)
                        : new ContinuationWebSocketFrame(i == last, 0, part));
                }
                break;
            case "ping":
                channel.writeAndFlush(new PingWebSocketFrame(Unpooled.wrappedBuffer(Events.bytes(words[1]))));
                break;
            case "close":
                channel.writeAndFlush(new CloseWebSocketFrame(Integer.parseInt(words[1]), Events.text(words[2])));
                break;
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    private static void serve(String deflate) throws Exception {
        listening = new ServerBootstrap()
            .group(LOOP)
            .channel(NioServerSocketChannel.class)
            .childHandler(new ChannelInitializer<SocketChannel>() {
                @Override
                protected void initChannel(SocketChannel channel) {
                    channel.pipeline().addLast(new HttpServerCodec(), new HttpObjectAggregator(65536), new Refuse());
                    switch (deflate) {
                        case "default":
                            channel.pipeline().addLast(new WebSocketServerCompressionHandler());
                            break;
                        case "fresh":
                            channel.pipeline().addLast(new WebSocketServerExtensionHandler(
                                new PerMessageDeflateServerExtensionHandshaker(6, false, 15, true, true)));
                            break;
                        case "narrow":
                            channel.pipeline().addLast(new WebSocketServerExtensionHandler(
                                new PerMessageDeflateServerExtensionHandshaker(6, true, 10, false, false)));
                            break;
                        case "frame":
                            channel.pipeline().addLast(
                                new WebSocketServerExtensionHandler(new DeflateFrameServerExtensionHandshaker()));
                            break;
                        default:
                    }
                    // Close frames are ours to see and to answer, and pongs are not dropped.
                    channel.pipeline().addLast(new WebSocketServerProtocolHandler(
                        WebSocketServerProtocolConfig.newBuilder()
                            .websocketPath("/").checkStartsWith(true).subprotocols("sample")
                            .handleCloseFrames(false).sendCloseFrame(null).dropPongFrames(false)
                            .decoderConfig(WebSocketDecoderConfig.newBuilder()
                                .allowExtensions(true).maxFramePayloadLength(LARGEST).build())
                            .build()), new Echo());
                }
            })
            .bind("127.0.0.1", 0).sync().channel();
        Events.say("listening", Integer.toString(((InetSocketAddress) listening.localAddress()).getPort()));
    }

    private static void connect(String[] words) throws Exception {
        URI url = new URI(words[1]);
        String deflate = words[3];
        HttpHeaders extra = new DefaultHttpHeaders();
        if (!words[5].equals("-")) {
            extra.set(HttpHeaderNames.ORIGIN, words[5]);
        }
        WebSocketClientHandshaker handshaker = WebSocketClientHandshakerFactory.newHandshaker(
            url, WebSocketVersion.valueOf(words[2].length() < 2 ? "V0" + words[2] : "V" + words[2]),
            words[4].equals("-") ? null : words[4], true, extra, LARGEST);
        channel = new Bootstrap()
            .group(LOOP)
            .channel(NioSocketChannel.class)
            .handler(new ChannelInitializer<SocketChannel>() {
                @Override
                protected void initChannel(SocketChannel channel) {
                    channel.pipeline().addLast(new HttpClientCodec(), new HttpObjectAggregator(65536));
                    switch (deflate) {
                        case "default":
                            channel.pipeline().addLast(WebSocketClientCompressionHandler.INSTANCE);
                            break;
                        case "fresh":
                            channel.pipeline().addLast(new WebSocketClientExtensionHandler(
                                new PerMessageDeflateClientExtensionHandshaker(6, false, 15, true, true)));
                            break;
                        case "narrow":
                            channel.pipeline().addLast(new WebSocketClientExtensionHandler(
                                new PerMessageDeflateClientExtensionHandshaker(6, true, 10, false, false)));
                            break;
                        case "frame":
                            channel.pipeline().addLast(
                                new WebSocketClientExtensionHandler(new DeflateFrameClientExtensionHandshaker(true)));
                            break;
                        default:
                    }
                    channel.pipeline().addLast(
                        new See(), new WebSocketClientProtocolHandler(handshaker, false, false), new Echo(handshaker));
                }
            })
            .connect(url.getHost(), url.getPort()).sync().channel();
    }

    /** The server's own no. */
    private static final class Refuse extends ChannelInboundHandlerAdapter {
        @Override
        public void channelRead(ChannelHandlerContext context, Object message) throws Exception {
            if (message instanceof FullHttpRequest && ((FullHttpRequest) message).uri().equals("/refused")) {
                FullHttpResponse no = new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.FORBIDDEN,
                    Unpooled.copiedBuffer("not for you\n", StandardCharsets.US_ASCII));
                no.headers().set(HttpHeaderNames.CONTENT_LENGTH, no.content().readableBytes());
                context.writeAndFlush(no);
            } else {
                super.channelRead(context, message);
            }
        }
    }

    /** The client's sight of the server's answer: Netty's own exception has a status in words only. */
    private static final class See extends ChannelInboundHandlerAdapter {
        private final int mine = talk;

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) throws Exception {
            if (message instanceof FullHttpResponse && mine == talk) {
                FullHttpResponse answer = (FullHttpResponse) message;
                if (answer.status().code() != 101) {
                    Events.say("refused", Integer.toString(answer.status().code()),
                        Events.hex(ByteBufUtil.getBytes(answer.content())));
                }
            }
            super.channelRead(context, message);
        }
    }

    private static final class Echo extends SimpleChannelInboundHandler<WebSocketFrame> {
        private final int mine = talk;
        private final WebSocketClientHandshaker client;
        private String code = "1006";
        private String reason = "-";
        private boolean open;
        private boolean closed;

        Echo() {
            this(null);
        }

        Echo(WebSocketClientHandshaker client) {
            this.client = client;
        }

        private void say(String... words) {
            if (mine == talk) {
                Events.say(words);
            }
        }

        @Override
        protected void channelRead0(ChannelHandlerContext context, WebSocketFrame frame) {
            if (frame instanceof CloseWebSocketFrame) {
                CloseWebSocketFrame close = (CloseWebSocketFrame) frame;
                code = Integer.toString(close.statusCode());
                reason = Events.hex(close.reasonText());
                if (!closed) {
                    closed = true;
                    context.writeAndFlush(close.retain());
                }
                if (client == null) {
                    context.close();
                }
            } else if (frame instanceof PongWebSocketFrame) {
                say("pong", Events.hex(ByteBufUtil.getBytes(frame.content())));
            } else {
                context.writeAndFlush(frame.retain()); // fragments too: each as it came
            }
        }

        private void open(String subprotocol) {
            open = true;
            say("open", subprotocol == null || subprotocol.isEmpty() ? "-" : subprotocol);
        }

        @Override
        public void userEventTriggered(ChannelHandlerContext context, Object event) {
            if (event instanceof WebSocketServerProtocolHandler.HandshakeComplete) {
                channel = context.channel();
                open(((WebSocketServerProtocolHandler.HandshakeComplete) event).selectedSubprotocol());
            } else if (event == WebSocketClientProtocolHandler.ClientHandshakeStateEvent.HANDSHAKE_COMPLETE) {
                open(client.actualSubprotocol());
            }
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            if (open) {
                say("close", code, reason);
            }
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            say("failed", Events.hex(cause.toString()));
            context.close();
        }
    }
}
