// Run in a page: one WebSocket, what is sent over it, and what the page has seen in the end.
//
// plan: url, protocols, sends (strings, or lists of bytes; {of, times} is one of these repeated, and
// {random} so many bytes that do not compress), echoes (how many messages to await before it closes)
// and close (a list of code and reason; without it the server has to).
const [plan, done] = arguments;

function made(message) {
  if (message.random !== undefined) {
    const bytes = new Uint8Array(message.random);
    for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
    return bytes;
  }
  const {of, times} = message.of === undefined ? {of: message, times: 1} : message;
  if (typeof of === "string") return of.repeat(times);
  const bytes = new Uint8Array(of.length * times);
  for (let at = 0; at < bytes.length; at += of.length) bytes.set(of, at);
  return bytes;
}

function same(one, other) {
  if (typeof one === "string" || typeof other === "string") return one === other;
  return one.length === other.length && one.every((octet, at) => octet === other[at]);
}

const sends = (plan.sends || []).map(made);
const seen = {opened: false, failed: false, received: [], echoed: []};
const socket = new WebSocket(plan.url, plan.protocols || []);
socket.binaryType = "arraybuffer";
socket.onopen = () => {
  seen.opened = true;
  seen.extensions = socket.extensions;
  seen.protocol = socket.protocol;
  for (const message of sends) socket.send(message);
  if (plan.close && !plan.echoes) socket.close(...plan.close);
};
socket.onmessage = (event) => {
  const message = typeof event.data === "string" ? event.data : new Uint8Array(event.data);
  const at = seen.echoed.length;
  seen.echoed.push(at < sends.length && same(message, sends[at]));
  // Of a long one the page's own verdict is enough.
  seen.received.push(message.length > 1000 ? null : typeof message === "string" ? message : [...message]);
  if (plan.close && seen.received.length === plan.echoes) socket.close(...plan.close);
};
socket.onerror = () => { seen.failed = true; };
socket.onclose = (event) => done({...seen, code: event.code, reason: event.reason, clean: event.wasClean});
