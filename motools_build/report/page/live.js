
'use strict';
const live = document.getElementById('live');
const gone = document.getElementById('gone');
let tag = '';
let waiting = 0;

// An element that has an ID is the same one wherever it moves; others are the same if
// they have the same place and name. What the reader opened stays open.
function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.id : '';
}

function alike(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName
    && keyOf(old) === keyOf(fresh);
}

function change(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const {name, value} of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const {name} of [...old.attributes]) {
    if (name !== 'open' && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  changeInside(old, fresh);
}

function changeInside(old, fresh) {
  const named = new Map();
  for (const one of old.children) if (one.id) named.set(one.id, one);
  let at = old.firstChild;
  const kept = new Set([...fresh.childNodes].map(keyOf).filter(Boolean));
  const next = () => { const was = at; at = at.nextSibling; return was; };
  for (const one of [...fresh.childNodes]) {
    const same = named.get(keyOf(one));
    if (same) { // what is over goes first: an element that is moved loses the focus
      while (at && at !== same && !kept.has(keyOf(at))) next().remove();
    }
    if (same && same !== at && alike(same, one)) {
      old.insertBefore(same, at);
      change(same, one);
    } else if (at && alike(at, one)) {
      change(next(), one);
    } else {
      old.insertBefore(one, at);
    }
  }
  while (at) next().remove();
}

function show(markup) {
  const fresh = document.createElement('template');
  fresh.innerHTML = markup;
  changeInside(live, fresh.content);
  document.title = live.firstElementChild.dataset.title;
}

async function look() {
  clearTimeout(waiting);
  if (!document.hidden) {
    try {
      const answer = await fetch('now', {cache: 'no-store', headers: {'If-None-Match': tag}});
      if (answer.ok) {
        show(await answer.text());
        tag = answer.headers.get('ETag') || '';
      }
      gone.hidden = answer.ok || answer.status === 304;
    } catch {
      gone.hidden = false;
    }
  }
  clearTimeout(waiting);
  waiting = setTimeout(look, 1000);
}

document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
look();
