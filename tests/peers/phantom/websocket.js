// One WebSocket of a real browser of 2012 (PhantomJS 1.9.8, hixie-76), driven from a page of a given origin.
//
//     phantomjs websocket.js PLAN.json
//
// The plan: {"origin": "http://...", "url": "ws://...", "subprotocol": null, "messages": [...],
// "close": "page" or "server", "patience": milliseconds}. Each message goes out when the one before
// it has come back, so that answers pair with questions. Then the page closes, or, for "server",
// waits to be closed, as long as its patience lasts. One line of JSON comes out: all that the
// page's script could see.

/* global phantom, require */
/* eslint-env browser */

var fs = require('fs');
var system = require('system');
var webpage = require('webpage');

var plan = JSON.parse(fs.read(system.args[1]));
var page = webpage.create();

// Everything outside ASCII escaped: the console's encoding is not what is tested.
function say(value) {
    console.log(JSON.stringify(value).replace(/[\u007f-\uffff]/g, function (character) {
        return '\\u' + ('0000' + character.charCodeAt(0).toString(16)).slice(-4);
    }));
}

page.onCallback = function (seen) {
    say(seen);
    phantom.exit(0);
};

setTimeout(function () {
    var seen = page.evaluate(function () {
        return window.seen;
    });
    seen.outOfPatience = true;
    say(seen);
    phantom.exit(0);
}, plan.patience);

page.onError = function (message) {
    say({failed: message});
    phantom.exit(1);
};

// The content gets the address of the server as its own, and so its origin, without a request.
page.setContent('<!DOCTYPE html><title>origin</title>', plan.origin + '/');

page.evaluate(function (plan) {
    var socket = plan.subprotocol === null ? new WebSocket(plan.url) : new WebSocket(plan.url, plan.subprotocol);
    var waiting = plan.messages.slice();
    var seen = window.seen = {
        closed: WebSocket.CLOSED,
        events: [],
        messages: [],
        origin: document.location.protocol + '//' + document.location.host,
        states: [socket.readyState],
        url: socket.URL,
        userAgent: navigator.userAgent
    };

    function next() {
        if (waiting.length > 0) {
            seen.lastSend = socket.send(waiting.shift());
        } else if (plan.close === 'page') {
            socket.close();
            seen.states.push(socket.readyState);
        }
    }

    socket.onopen = function () {
        seen.events.push('open');
        seen.states.push(socket.readyState);
        seen.protocol = socket.protocol;
        next();
    };
    socket.onmessage = function (event) {
        seen.events.push('message');
        seen.messages.push(event.data);
        next();
    };
    socket.onerror = function () {
        seen.events.push('error');
    };
    socket.onclose = function (event) {
        seen.events.push('close');
        seen.states.push(socket.readyState);
        seen.wasClean = event.wasClean;
        seen.code = event.code;
        seen.bufferedAmount = socket.bufferedAmount;
        window.callPhantom(seen);
    };
}, plan);
