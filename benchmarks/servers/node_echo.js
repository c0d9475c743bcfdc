// ws 8 echo, with its two optional C addons. Each message of a connection to /broadcast is sent to all
// connections there.
//
// usage: node_echo.js PORT [deflate]     NODE_PATH names the directory that holds ws
'use strict';
const { WebSocketServer, WebSocket } = require('ws');

const [port, deflate] = process.argv.slice(2);
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(port),
  backlog: 1024,
  maxPayload: 1 << 26,
  perMessageDeflate: deflate === 'deflate' ? { threshold: 0 } : false,
});

function tellAll(data, binary) {
  for (const client of server.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(data, { binary });
  }
}

server.on('connection', (socket, request) => {
  const echo = (data, binary) => socket.send(data, { binary });
  socket.on('error', () => {});
  socket.on('message', request.url === '/broadcast' ? tellAll : echo);
});
