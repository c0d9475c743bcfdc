// Netty 4.1 echo, one event loop thread, with permessage-deflate.
//
// usage: NettyEcho PORT

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler;
import io.netty.handler.codec.http.websocketx.extensions.compression.WebSocketServerCompressionHandler;

public class NettyEcho {
  private static final int MAX_HEAD = 65536;
  private static final int MAX_FRAME = 1 << 26;

  /** Echoes each frame, fragments included, with one flush for all frames of one read. */
  private static class Echo extends SimpleChannelInboundHandler<WebSocketFrame> {
    @Override
    protected void channelRead0(ChannelHandlerContext context, WebSocketFrame frame) {
      context.write(frame.retain());
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
      context.flush();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      context.close();
    }
  }

  private static class Pipeline extends ChannelInitializer<SocketChannel> {
    @Override
    protected void initChannel(SocketChannel channel) {
      channel.pipeline().addLast(
          new HttpServerCodec(),
          new HttpObjectAggregator(MAX_HEAD),
          new WebSocketServerCompressionHandler(),
          new WebSocketServerProtocolHandler("/", null, true, MAX_FRAME),
          new Echo());
    }
  }

  public static void main(String[] arguments) throws Exception {
    new ServerBootstrap()
        .group(new NioEventLoopGroup(1))
        .channel(NioServerSocketChannel.class)
        .option(ChannelOption.SO_BACKLOG, 1024)
        .childHandler(new Pipeline())
        .bind("127.0.0.1", Integer.parseInt(arguments[0]))
        .sync().channel().closeFuture().sync();
  }
}
