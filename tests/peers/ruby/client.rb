# A client of Ruby's websocket library in an old dialect: one conversation, told in JSON.
#
#     ruby client.rb PORT PATH VERSION ORIGIN SUBPROTOCOL MESSAGE...
#
# The subprotocol may be empty. With TLS_ROOT=FILE in the environment the client is a player of 2010: it
# speaks TLS 1.0, sends no server name, and trusts the certificate authorities in the file. What comes out is one line: whether the handshake was taken, and each
# message that came back.

require 'json'
require 'openssl'
require 'socket'
require 'timeout'
require 'websocket'

port, path, version, origin, subprotocol, *messages = ARGV
root = ENV.fetch('TLS_ROOT', nil)
asked = { url: "#{root ? 'wss' : 'ws'}://localhost:#{port}#{path}", version: version.to_i, origin: origin }
asked[:protocols] = [subprotocol] unless subprotocol.empty?
handshake = WebSocket::Handshake::Client.new(**asked)
seen = { 'valid' => false, 'messages' => [] }

def encrypted(socket, root)
  context = OpenSSL::SSL::SSLContext.new
  context.min_version = context.max_version = OpenSSL::SSL::TLS1_VERSION
  context.ciphers = 'DEFAULT@SECLEVEL=0'
  context.verify_mode = OpenSSL::SSL::VERIFY_PEER
  context.ca_file = root
  OpenSSL::SSL::SSLSocket.new(socket, context).connect # a server name would be its hostname=
end

begin
  Timeout.timeout(20) do
    socket = TCPSocket.new('127.0.0.1', port.to_i)
    socket = encrypted(socket, root) if root
    socket.write(handshake.to_s)
    answer = +''
    answer << socket.readpartial(1) until answer.end_with?("\r\n\r\n")
    answer << socket.readpartial(1) while version == '76' && !answer.match?(/\r\n\r\n.{16}\z/mn)
    handshake << answer
    seen['valid'] = handshake.valid?
    if handshake.valid?
      incoming = WebSocket::Frame::Incoming::Client.new(version: handshake.version)
      messages.each do |message|
        frame = WebSocket::Frame::Outgoing::Client.new(version: handshake.version, data: message, type: :text)
        socket.write(frame.to_s)
        until (back = incoming.next)
          incoming << socket.readpartial(4096)
        end
        seen['messages'] << back.to_s
      end
    else
      seen['error'] = handshake.error.to_s
    end
    socket.close
  end
rescue EOFError, SystemCallError, Timeout::Error, OpenSSL::SSL::SSLError => e
  seen['error'] = e.class.name
end
puts JSON.generate(seen)
