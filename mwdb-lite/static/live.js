// Keeps the box of Karton analyses up to date by server-sent events.
// A hidden page holds no connection: browsers allow few of them per server.

const box = document.querySelector("[data-events]");
const RETRY = 15000;
let source = null;
let timer = 0;

function open() {
  clearTimeout(timer);
  if (source || document.hidden) return;
  source = new EventSource(box.dataset.events);
  source.addEventListener("analyses", (event) => {
    // A button that has the focus keeps it.
    const focused = box.contains(document.activeElement) && document.activeElement.type === "submit";
    box.innerHTML = event.data;
    if (focused) box.querySelector("button[type=submit]")?.focus();
    box.dispatchEvent(new CustomEvent("mwdb:fragment", { bubbles: true }));
  });
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

if (box) {
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}
