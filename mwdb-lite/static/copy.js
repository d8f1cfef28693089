// Copy buttons beside hashes, tokens and contents. Without scripts there are none.

const COPY = "Copy";

function button(text) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "copy";
  element.textContent = COPY;
  element.setAttribute("aria-label", "Copy to the clipboard");
  element.addEventListener("click", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    element.textContent = (await write(text())) ? "Copied" : "Failed";
    setTimeout(() => { element.textContent = COPY; }, 1200);
  });
  return element;
}

// The clipboard interface exists only on https and localhost.
async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function decorate(root) {
  for (const element of root.querySelectorAll("[data-copy]")) {
    // A button inside a link is not valid: it goes after the link.
    const place = element.closest("a") ?? element;
    if (!place.nextElementSibling?.classList.contains("copy")) {
      place.after(button(() => element.dataset.copy));
    }
  }
  for (const element of root.querySelectorAll("[data-copy-text]")) {
    if (!element.previousElementSibling?.classList.contains("copy")) {
      const extra = button(() => element.textContent);
      extra.classList.add("corner");
      element.before(extra);
    }
  }
}

decorate(document);
document.addEventListener("mwdb:fragment", (event) => decorate(event.target));
