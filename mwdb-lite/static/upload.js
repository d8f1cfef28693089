// Drag and drop, several files at once, and progress. Without scripts the form sends one file.

const form = document.getElementById("upload");
const input = form.querySelector("input[type=file]");
const zone = form.querySelector(".drop");
const hint = form.querySelector("[data-drop-hint]");
const progress = form.querySelector("[data-progress]");
const list = progress.querySelector("ul");
const submit = form.querySelector("button[type=submit]");
const said = form.querySelector("[data-said]");
let busy = false;

input.multiple = true;
hint.textContent = `Drop files here or choose them. ${hint.textContent.replace(/^Choose a file/, "Each")}`.replace(" Each.", "");

for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    zone.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) zone.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer?.files.length) return;
  event.preventDefault();
  zone.classList.remove("over");
  input.files = event.dataTransfer.files;
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (busy) return;
  const files = [...input.files];
  setBusy(true);
  progress.hidden = false;
  list.replaceChildren();
  const rows = files.map(addRow);
  // Each file is said when it begins and when it ends, not each percent.
  say(files.length === 1 ? `Uploading ${files[0].name}` : `Uploading ${files.length} files`);
  const places = [];
  for (const [index, file] of files.entries()) {
    places.push(await send(file, rows[index]));
  }
  setBusy(false);
  const stored = places.filter(Boolean).length;
  if (files.length > 1) say(`${stored} of ${files.length} files uploaded`);
  if (files.length === 1 && stored) location.assign(places[0]);
});

// The button keeps the focus: a disabled one would lose it.
function setBusy(now) {
  busy = now;
  submit.setAttribute("aria-disabled", String(now));
}

function say(text) {
  said.textContent = text;
}

function addRow(file) {
  const item = document.createElement("li");
  const name = document.createElement("bdi");
  name.textContent = file.name;
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", `Upload of ${file.name}`);
  const state = document.createElement("span");
  state.textContent = "waiting";
  item.append(name, bar, state);
  list.append(item);
  return { item, name, bar, state };
}

// Resolves to the page of the object, or to nothing when the server refused.
function send(file, row) {
  const data = new FormData(form);
  data.delete("file");
  data.append("file", file, file.name);
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) row.bar.value = event.loaded / event.total;
      row.state.textContent = row.bar.value < 1 ? `${Math.floor(row.bar.value * 100)} %` : "storing";
    });
    request.addEventListener("load", () => {
      const target = request.status === 200 ? request.response?.location : null;
      if (target) {
        const link = document.createElement("a");
        link.href = target;
        link.append(file.name);
        row.name.replaceChildren(link);
        row.state.textContent = "done";
        row.item.className = "done";
        say(`${file.name} uploaded`);
      } else {
        fail(row, file, request.response?.message ?? `refused with status ${request.status}`);
      }
      resolve(target);
    });
    for (const type of ["error", "abort", "timeout"]) {
      request.addEventListener(type, () => {
        fail(row, file, "the connection broke");
        resolve(null);
      });
    }
    request.send(data);
  });
}

function fail(row, file, reason) {
  row.bar.value = 0;
  row.state.textContent = reason;
  row.item.className = "failed";
  say(`${file.name} failed: ${reason}`);
}
