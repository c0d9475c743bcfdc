// A client of ws 0.4 (2012), which speaks version 8: one conversation, told in one line of JSON.
//
//     node ws04_client.js DIRECTORY-OF-THE-LIBRARY URL ORIGIN SUBPROTOCOLS MESSAGE...
//
// It sends an Origin besides Sec-WebSocket-Origin, and a key of 15 bytes. Its code in C++ does not
// build any more; it goes on without.

'use strict';

const [directory, url, origin, protocol, ...messages] = process.argv.slice(2);
const WebSocket = require(directory);

const seen = { messages: [] };
const options = { protocolVersion: 8, origin: origin };
if (protocol) options.protocol = protocol;
const socket = new WebSocket(url, options);
const waiting = messages.slice();

function next() {
    if (waiting.length > 0) socket.send(waiting.shift());
    else socket.close(1000, 'done');
}

function tell() {
    process.stdout.write(JSON.stringify(seen) + '\n', () => process.exit());
}

socket.on('open', () => { seen.open = socket.protocolVersion; next(); });
socket.on('message', (data) => { seen.messages.push(data); next(); });
socket.on('close', (code, reason) => { seen.close = [code, String(reason)]; tell(); });
socket.on('error', (error) => { seen.error = String(error.message || error); tell(); });
setTimeout(tell, 20000);
