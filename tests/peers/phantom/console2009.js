// The console page for browsers of 2009, in one (PhantomJS 1.9.8), used as a visitor does: with mouse and keyboard.
//
//     phantomjs console2009.js PLAN.json
//
// The plan: {"page": "http://127.0.0.1:PORT/2009", "messages": [...], "patience": milliseconds}.
// Connects to the URL that the page proposes, sends each message and waits for its echo, closes.
// One line of JSON comes out: what the page then shows.

/* global phantom, require */
/* eslint-env browser */

var fs = require('fs');
var system = require('system');
var webpage = require('webpage');

var plan = JSON.parse(fs.read(system.args[1]));
var page = webpage.create();
var seen = {complaints: [], states: []};

// Everything outside ASCII escaped: the console's encoding is not what is tested.
function finish() {
    console.log(JSON.stringify(seen).replace(/[\u007f-\uffff]/g, function (character) {
        return '\\u' + ('0000' + character.charCodeAt(0).toString(16)).slice(-4);
    }));
    phantom.exit(0);
}

function shown(id) {
    return page.evaluate(function (id) {
        var place = document.getElementById(id);
        return place && (place.tagName === 'INPUT' ? place.value : place.textContent);
    }, id);
}

function log() {
    return page.evaluate(function () {
        return Array.prototype.map.call(document.getElementById('log').childNodes, function (item) {
            return [item.className, item.lastChild.textContent];
        });
    });
}

function look() {
    seen.state = shown('state');
    seen.dialect = shown('dialect');
    seen.counts = shown('counts');
    seen.notice = shown('notice');
    seen.url = shown('url');
    seen.log = log();
}

function press(id) {
    var place = page.evaluate(function (id) {
        var box = document.getElementById(id).getBoundingClientRect();
        return {x: box.left + box.width / 2, y: box.top + box.height / 2};
    }, id);
    page.sendEvent('click', place.x, place.y);
}

function when(condition, next) {
    if (condition()) {
        next();
    } else {
        setTimeout(function () { when(condition, next); }, 10);
    }
}

function state(wanted) {
    return function () {
        return shown('state') === wanted;
    };
}

function reached(wanted, next) {
    when(state(wanted), function () {
        seen.states.push(wanted);
        next();
    });
}

function exchange(messages) {
    var before = log().length;
    if (messages.length === 0) {
        look();
        press('close');
        reached('closed', function () {
            seen.notice = shown('notice');
            finish();
        });
        return;
    }
    press('message');
    page.sendEvent('keypress', messages[0]);
    press('send');
    when(function () { return log().length >= before + 2; }, function () { exchange(messages.slice(1)); });
}

page.viewportSize = {width: 900, height: 900};
page.onError = function (message) {
    seen.complaints.push(message);
};
page.onConsoleMessage = function (message) {
    seen.complaints.push(message);
};
setTimeout(function () {
    look();
    seen.outOfPatience = true;
    finish();
}, plan.patience);
page.open(plan.page, function (status) {
    seen.loaded = status;
    reached('closed', function () {
        press('connect');
        reached('open', function () { exchange(plan.messages); });
    });
});
