// npm's ws, client and server, versions 8 and 13; what it is told and what it says is in peer_commands.py.
//
//     node ws_peer.js DIRECTORY-OF-WS
"use strict";

const readline = require("readline");

const { WebSocket, WebSocketServer } = require(process.argv[2]);

const SUBPROTOCOL = "sample";
const NARROW = 10;
const REFUSED_PATH = "/refused";
const REFUSED_BODY = "not for you\n";
const LARGEST = 1 << 26;

const DEFLATES = {
  plain: false,
  default: true,
  fresh: { serverNoContextTakeover: true, clientNoContextTakeover: true },
  narrow: { serverMaxWindowBits: NARROW, clientMaxWindowBits: NARROW },
};

let talk = 0;
let server = null;
let socket = null;

function say(...words) {
  process.stdout.write(words.join(" ") + "\n");
}

function voice() {
  const mine = talk;
  return (...words) => {
    if (mine === talk) say(...words);
  };
}

function hexed(payload) {
  return Buffer.from(payload).toString("hex") || "-";
}

function unhexed(word) {
  return word === "-" ? Buffer.alloc(0) : Buffer.from(word, "hex");
}

function converse(connection, speak) {
  socket = connection;
  connection.on("message", (data, isBinary) => connection.send(data, { binary: isBinary }));
  connection.on("pong", (data) => speak("pong", hexed(data)));
  connection.on("close", (code, reason) => speak("close", code, hexed(reason)));
  connection.on("error", (error) => speak("failed", hexed(String(error))));
}

function serve(deflate) {
  const speak = voice();
  server = new WebSocketServer({
    host: "127.0.0.1",
    port: 0,
    maxPayload: LARGEST,
    perMessageDeflate: DEFLATES[deflate],
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    verifyClient: ({ req }, answer) =>
      req.url === REFUSED_PATH ? answer(false, 403, REFUSED_BODY) : answer(true),
  });
  server.on("listening", () => speak("listening", server.address().port));
  server.on("connection", (connection) => {
    converse(connection, speak);
    speak("open", connection.protocol || "-");
  });
}

function connect(url, version, deflate, subprotocols, origin) {
  const speak = voice();
  const connection = new WebSocket(url, subprotocols === "-" ? [] : subprotocols.split(","), {
    protocolVersion: Number(version),
    perMessageDeflate: DEFLATES[deflate],
    maxPayload: LARGEST,
    ...(origin === "-" ? {} : { origin }),
  });
  connection.on("open", () => speak("open", connection.protocol || "-"));
  connection.on("unexpected-response", (request, response) => {
    const parts = [];
    response.on("data", (part) => parts.push(part));
    response.on("end", () => speak("refused", response.statusCode, hexed(Buffer.concat(parts))));
  });
  converse(connection, speak);
}

function reset(token) {
  talk += 1;
  if (socket !== null) socket.terminate();
  if (server !== null) server.close();
  socket = server = null;
  say("ready", token);
}

const ORDERS = {
  serve,
  connect,
  reset,
  pieces: (...parts) => {
    const last = parts.length - 1;
    parts.forEach((part, number) => {
      socket.send(unhexed(part), { binary: false, fin: number === last });
    });
  },
  ping: (payload) => socket.ping(unhexed(payload)),
  close: (code, reason) => socket.close(Number(code), unhexed(reason)),
};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [word, ...words] = line.split(" ");
    try {
      ORDERS[word](...words);
    } catch (error) {
      say("failed", hexed(String(error)));
    }
  })
  .on("close", () => process.exit(0));
