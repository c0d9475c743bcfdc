// npm's websocket-driver, which faye and SockJS stand on: hixie-75, hixie-76 and RFC 6455.
// Sends back each message.
//
//     node driver_echo.js DIRECTORY-OF-WEBSOCKET-DRIVER
//
// It says "listening PORT" first and then, one line an event, what it sees; payloads are hex and an
// empty one is "-". A client that sends the text "please close" is closed. The program ends when its
// standard input does.
"use strict";

const http = require("http");

const driverOf = require(process.argv[2]).http;

function say(...words) {
  process.stdout.write(words.join(" ") + "\n");
}

function hexed(payload) {
  return Buffer.from(payload).toString("hex") || "-";
}

function converse(request, socket, rest) {
  const driver = driverOf(request, { protocols: ["sample"] });
  driver.on("open", () => say("open", driver.version, request.url));
  driver.on("close", () => {
    say("close");
    socket.end();
  });
  driver.on("message", (event) => {
    say(typeof event.data === "string" ? "text" : "binary", hexed(event.data));
    if (event.data === "please close") driver.close();
    else driver.messages.write(event.data);
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => say("lost"));
  driver.io.write(rest);
  socket.pipe(driver.io).pipe(socket);
  driver.start();
}

const server = http.createServer();
server.on("upgrade", converse);
server.listen(0, "127.0.0.1", () => say("listening", server.address().port));
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
