// Opens a page in a browser of 2012 (PhantomJS 1.9.8), and uses it with mouse and keyboard, step by step.
//
//     phantomjs steps.js PLAN.json
//
// The plan: {"page": URL, "steps": [...], "patience": milliseconds}. A step is ["await", id, text], which
// waits until the element has the text somewhere; ["type", id, text], into a field, which is emptied first; or
// ["click", id]. One line of JSON comes out: the number of steps done, the text of each element that was
// awaited, as the last step left it, and the errors of the page's script.

/* global phantom, require */
/* eslint-env browser */

var fs = require('fs');
var system = require('system');
var webpage = require('webpage');

var plan = JSON.parse(fs.read(system.args[1]));
var page = webpage.create();
var seen = {done: 0, texts: {}, complaints: []};

// Everything outside ASCII escaped: the console's encoding is not what is tested.
function finish() {
    console.log(JSON.stringify(seen).replace(/[\u007f-\uffff]/g, function (character) {
        return '\\u' + ('0000' + character.charCodeAt(0).toString(16)).slice(-4);
    }));
    phantom.exit(0);
}

function text(id) {
    return page.evaluate(function (id) {
        return document.getElementById(id).textContent;
    }, id);
}

function click(id) {
    var place = page.evaluate(function (id) {
        var element = document.getElementById(id);
        element.scrollIntoView();
        var box = element.getBoundingClientRect();
        return {x: box.left + box.width / 2, y: box.top + box.height / 2};
    }, id);
    page.sendEvent('click', place.x, place.y);
}

function type(id, words) {
    page.evaluate(function (id) {
        document.getElementById(id).value = '';
    }, id);
    click(id);
    page.sendEvent('keypress', words);
}

// Whether the step is done.
function does(step) {
    if (step[0] === 'await') {
        seen.texts[step[1]] = text(step[1]);
        return seen.texts[step[1]].indexOf(step[2]) >= 0;
    }
    if (step[0] === 'type') {
        type(step[1], step[2]);
    } else {
        click(step[1]);
    }
    return true;
}

function look() {
    while (seen.done < plan.steps.length && does(plan.steps[seen.done])) {
        seen.done += 1;
    }
    if (seen.done === plan.steps.length) {
        finish();
    }
}

page.onError = function (message) {
    seen.complaints.push(message);
};
setTimeout(finish, plan.patience);
page.open(plan.page, function () {
    setInterval(look, 20);
});
