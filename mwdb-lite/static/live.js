// Keeps the box of Karton analyses up to date by server-sent events.
// A hidden page holds no connection: browsers allow few of them per server.
// Only what differs is touched: focus, selection and what was opened stay as they are. A change is
// said once, in a few words, by a status of its own.
// What analyses bring changes the rest of the page, too: then the page is fetched again, and its cards
// are brought up to date, except those in which somebody is busy.

const box = document.querySelector("[data-events]");
const said = document.getElementById("analyses-said");
const RETRY = 15000;
const CARDS = ["tags", "relations", "comments", "attributes"];
const PAUSE = 2000;
let source = null;
let timer = 0;
let fetched = -PAUSE;
let later = 0;

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
  if (shape(next) !== shape(box)) changed();
  patchChildren(box, next);
  // What had the focus is gone with what it was for: to the heading, not to the top of the page.
  if (focused && !box.contains(focused)) box.querySelector("h2")?.focus();
  if (summary() !== before) said.textContent = `Karton analyses: ${summary()}`;
  box.dispatchEvent(new CustomEvent("mwdb:fragment", { bubbles: true }));
}

// The content without what scripts added, what somebody opened, and how long ago things were.
function shape(element) {
  const plain = element.cloneNode(true);
  for (const other of plain.querySelectorAll(".copy, .ago")) other.remove();
  for (const opened of plain.querySelectorAll("details[open]")) opened.removeAttribute("open");
  return plain.innerHTML.trim();
}

// At most once in a while, and once more after the last change: results may come after it.
function changed() {
  clearTimeout(later);
  later = setTimeout(refresh, PAUSE);
  if (performance.now() - fetched >= PAUSE) refresh();
}

async function refresh() {
  fetched = performance.now();
  const mine = fetched;
  let page = null;
  try {
    const answer = await fetch(box.dataset.page, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    // The page stays as it is.
    return;
  }
  // A later one is on its way, or was faster.
  if (mine !== fetched) return;
  const news = CARDS.filter((id) => renew(document.getElementById(id), page.getElementById(id)));
  if (news.length) said.textContent = "New results are shown";
}

// Whether there was something new.
function renew(card, next) {
  if (!card || !next || shape(card) === shape(next) || isBusy(card)) return false;
  // Their names are those of what stood there.
  for (const added of card.querySelectorAll(".copy")) added.remove();
  patchChildren(card, next);
  card.dispatchEvent(new CustomEvent("mwdb:fragment", { bubbles: true }));
  return true;
}

// Somebody is in the card, or has left something in its fields.
function isBusy(card) {
  const touched = (field) => {
    if (field.type === "hidden" || field.type === "submit") return false;
    if (field.type === "checkbox") return field.checked !== field.defaultChecked;
    if (field.options) return field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
    return field.value !== "";
  };
  return card.contains(document.activeElement) || [...card.querySelectorAll("input, select, textarea")].some(touched);
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
    // What was opened stays open.
    if (!next.hasAttribute(name) && !(name === "open" && now.nodeName === "DETAILS")) now.removeAttribute(name);
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
