// Keeps the box of Karton analyses up to date by server-sent events.
// A hidden page holds no connection: browsers allow few of them per server.
// Only what differs is touched: focus, selection and what was opened stay as they are. A change is
// said once, in a few words, by a status of its own.

const box = document.querySelector("[data-events]");
const said = document.getElementById("analyses-said");
const RETRY = 15000;
let source = null;
let timer = 0;

function open() {
  clearTimeout(timer);
  if (source || document.hidden) return;
  source = new EventSource(box.dataset.events);
  source.addEventListener("analyses", (event) => update(event.data));
  source.addEventListener("error", () => {
    // The browser reconnects by itself unless the server refused.
    if (source?.readyState === EventSource.CLOSED) {
      close();
      timer = setTimeout(open, RETRY);
    }
  });
}

function close() {
  source?.close();
  source = null;
}

function summary() {
  return box.querySelector("[data-summary]")?.dataset.summary ?? "";
}

function update(html) {
  const before = summary();
  const focused = box.contains(document.activeElement) ? document.activeElement : null;
  const next = box.cloneNode(false);
  next.innerHTML = html;
  patchChildren(box, next);
  // What had the focus is gone with what it was for: to the heading, not to the top of the page.
  if (focused && !box.contains(focused)) box.querySelector("h2")?.focus();
  if (summary() !== before) said.textContent = `Karton analyses: ${summary()}`;
  box.dispatchEvent(new CustomEvent("mwdb:fragment", { bubbles: true }));
}

// Elements with a key are the same when the key is, wherever they stand; others when they are of one
// kind and it is their turn. So what comes and goes in the box has a key.
function same(one, other) {
  return one.nodeName === other.nodeName && one.dataset?.key === other.dataset?.key;
}

// Added by scripts, so no part of what the server sends.
function isOurs(node) {
  return node.classList?.contains("copy") ?? false;
}

function patch(now, next) {
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.data !== next.data) now.data = next.data;
    return;
  }
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name)) now.removeAttribute(name);
  }
  patchChildren(now, next);
}

function patchChildren(now, next) {
  let place = now.firstChild;
  for (const wanted of [...next.childNodes]) {
    while (place && isOurs(place)) place = place.nextSibling;
    let found = place;
    if (wanted.dataset?.key) {
      while (found && !same(found, wanted)) found = found.nextSibling;
      // What stands before it has gone.
      while (found && place !== found) {
        const gone = place;
        place = place.nextSibling;
        gone.remove();
      }
    } else if (found && !same(found, wanted)) {
      found = null;
    }
    if (found) {
      place = found.nextSibling;
      patch(found, wanted);
    } else {
      now.insertBefore(wanted, place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    if (!isOurs(gone)) gone.remove();
  }
}

if (box) {
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}
