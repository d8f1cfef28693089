// Copy buttons beside hashes, tokens and contents. Without scripts there are none.
// What is copied is what is meant and not what is shown: a page shows marks for characters that hide,
// and long contents only in part. So contents are fetched.

const COPY = "Copy";

// Says what happened to those who do not see the button.
const said = document.createElement("p");
said.className = "sr";
said.setAttribute("role", "status");
document.body.append(said);

function button(name, source) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "copy";
  element.textContent = COPY;
  element.setAttribute("aria-label", `Copy ${name}`);
  element.addEventListener("click", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const done = await write(source);
    element.textContent = done ? "Copied" : "Failed";
    said.textContent = done ? "Copied to the clipboard" : "It could not be copied";
    setTimeout(() => {
      element.textContent = COPY;
      said.textContent = "";
    }, 1500);
  });
  return element;
}

// The clipboard interface exists only on https and localhost. Some browsers want to be called during
// the click, before the text is there.
async function write(source) {
  const text = Promise.resolve(source());
  try {
    if (navigator.clipboard?.write && window.ClipboardItem) {
      const blob = text.then((text) => new Blob([text], { type: "text/plain" }));
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    } else {
      await navigator.clipboard.writeText(await text);
    }
    return true;
  } catch {
    return text.then(select, () => false);
  }
}

// The way of old.
function select(text) {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return done;
}

// All of a content, byte for byte: a mark at its beginning is a part of it.
async function load(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await answer.arrayBuffer());
}

function decorate(root) {
  for (const element of root.querySelectorAll("[data-copy]")) {
    // A button inside a link is not valid: it goes after the link.
    const place = element.closest("a") ?? element;
    if (!place.nextElementSibling?.classList.contains("copy")) {
      place.after(button(element.dataset.copy.slice(0, 16), () => element.dataset.copy));
    }
  }
  for (const element of root.querySelectorAll("[data-copy-from]")) {
    if (!element.previousElementSibling?.classList.contains("copy")) {
      const extra = button("all of the content", () => load(element.dataset.copyFrom));
      extra.classList.add("corner");
      element.before(extra);
    }
  }
}

decorate(document);
document.addEventListener("mwdb:fragment", (event) => decorate(event.target));
