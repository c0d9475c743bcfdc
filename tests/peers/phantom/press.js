// Opens a page in a browser of 2012 (PhantomJS 1.9.8), presses a button, and reads what it causes.
//
//     phantomjs press.js PLAN.json
//
// The plan: {"page": URL, "button": id, "place": id, "first": text, "patience": milliseconds}. When
// the place says the first text, the button is pressed; one line of JSON says what it then says.

/* global phantom, require */
/* eslint-env browser */

var fs = require('fs');
var system = require('system');
var webpage = require('webpage');

var plan = JSON.parse(fs.read(system.args[1]));
var page = webpage.create();
var seen = {said: [], complaints: []};

function finish() {
    console.log(JSON.stringify(seen));
    phantom.exit(0);
}

function said() {
    return page.evaluate(function (id) {
        return document.getElementById(id).textContent;
    }, plan.place);
}

function press() {
    var place = page.evaluate(function (id) {
        var box = document.getElementById(id).getBoundingClientRect();
        return {x: box.left + box.width / 2, y: box.top + box.height / 2};
    }, plan.button);
    page.sendEvent('click', place.x, place.y);
}

function look() {
    var now = said();
    if (now !== seen.said[seen.said.length - 1]) {
        seen.said.push(now);
        if (now === plan.first) {
            press();
        } else if (seen.said.indexOf(plan.first) >= 0) {
            finish();
        }
    }
}

page.onError = function (message) {
    seen.complaints.push(message);
};
setTimeout(finish, plan.patience);
page.open(plan.page, function () {
    setInterval(look, 20);
});
