// Suggestions while one types a query, or a tag. The browser shows them: they stand in a datalist.
// An option is the whole text as it would be then, so there is one only where the caret is at the end.
// What goes wrong on the way is no matter: then nothing is suggested.

const PAUSE = 150;
const field = document.querySelector("[data-suggest]");

// Backslashes escape: nothing in a term has a meaning then.
const MEANS = /[\s:^~(){}[\]\\"*?]/g;
const MEANS_AT_START = /^[/'+\-<>]/;

function escape(text) {
  return text.replace(MEANS, "\\$&").replace(MEANS_AT_START, "\\$&");
}

function unescape(term) {
  return term.replace(/\\(.)/gs, "$1");
}

// Where a query stands at its end, by its tokens: what is expected there, the field whose value it is,
// where the last word starts, and whether that is in a query about relatives, which may be of any type. Nothing inside a phrase, a range, or what is no query.
export function place(query) {
  let expects = "condition";
  let name = "";
  let at = 0;
  const around = [];
  let relatives = false;
  const take = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(query)?.[0] ?? "";
    at += found.length;
    return found;
  };
  for (;;) {
    take(/\s*/y);
    const start = at;
    if (at === query.length) return { expects, name, start, relatives };
    if (query[at] === '"') {
      if (!take(/"(?:\\.|[^"\\])*"/sy) || expects !== "value") return null;
      expects = "operator";
    } else if (/[[{]/.test(query[at])) {
      if (expects !== "value" || !take(/[[{](?:"(?:\\.|[^"\\])*"|\\.|[^"\]}\\])*[\]}]/sy)) return null;
      expects = "operator";
    } else if (query[at] === "(") {
      at += 1;
      if (expects === "operator" || expects === "colon") return null;
      around.push(relatives);
      relatives ||= expects === "value";
      expects = "condition";
    } else if (query[at] === ")") {
      at += 1;
      if (expects !== "operator" || !around.length) return null;
      relatives = around.pop();
    } else if (query[at] === ":") {
      at += 1;
      if (expects !== "colon") return null;
      expects = "value";
    } else if (expects === "value" && take(/[<>]=?/y)) {
      continue;
    } else if (expects === "condition" && query[at] === "-") {
      at += 1;
    } else if (expects === "value" && lastOf(name) === "tag") {
      // A tag may hold colons, which one types as they are: the suggestion escapes them.
      const word = take(/(?:\\.|[^\s\\^~(){}[\]])+/sy);
      if (!word) return null;
      if (at === query.length) return { expects, name, start, relatives };
      expects = "operator";
    } else {
      const word = take(/(?:\\.|[^\s\\:^~(){}[\]])+/sy);
      if (!word) return null;
      if (at === query.length) return { expects, name, start, relatives };
      if (expects === "operator" && (word === "AND" || word === "OR")) expects = "condition";
      else if (expects === "condition" && word !== "NOT") [expects, name] = ["colon", word];
      else if (expects === "value") expects = "operator";
      else if (word !== "NOT") return null;
    }
  }
}

function lastOf(name) {
  return name.replace(/^(?:file|config|static|blob|object)\./, "");
}

async function load(address, signal) {
  const answer = await fetch(address, { signal, headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

const tags = (start, signal) => load(`/suggest/tags?start=${encodeURIComponent(start)}`, signal);
let known = null;

// They do not change while one types. What failed is asked for again.
async function keys(signal) {
  known ??= await load("/suggest/keys", signal);
  return known;
}

// How a query may go on: the texts that the last word may become.
async function ofQuery(query, signal) {
  const here = place(query);
  if (!here) return [];
  const before = query.slice(0, here.start);
  const word = query.slice(here.start);
  let next = [];
  if (here.expects === "operator") {
    // A word needs a blank before it.
    const blank = /\s$/.test(before) ? "" : " ";
    next = ["AND ", "OR "].filter((operator) => operator.startsWith(word)).map((operator) => blank + operator);
  } else if (here.expects === "value" && lastOf(here.name) === "tag") {
    if (/^"|(?:^|[^\\])(?:\\\\)*[*?]/.test(word)) return [];
    next = (await tags(unescape(word).toLowerCase(), signal)).map((tag) => escape(tag));
  } else if (here.expects === "condition") {
    const path = /^((?:(?:file|config|static|blob|object)\.)?(?:attribute|meta)\.)(.*)$/s.exec(word);
    if (path) {
      const start = unescape(path[2]);
      const all = await keys(signal);
      next = all.filter((key) => key.startsWith(start)).map((key) => `${path[1]}${escape(key).replaceAll(".", "\\.")}:`);
    } else {
      const { fields, relatives } = field.dataset;
      next = (here.relatives ? relatives : fields).split(" ").concat(["NOT "]).filter((name) => name.startsWith(word));
    }
  }
  return next.map((text) => before + text).filter((text) => text !== query);
}

async function ofTag(start, signal) {
  const text = start.trim().toLowerCase();
  return text ? (await tags(text, signal)).filter((tag) => tag !== text) : [];
}

function start(list) {
  const find = field.dataset.suggest === "tags" ? ofTag : ofQuery;
  let timer = 0;
  let asked = new AbortController();

  function show(typed, texts) {
    list.replaceChildren(
      ...texts.map((text) => {
        const option = document.createElement("option");
        option.value = text;
        // Browsers leave out what does not begin as what is typed; an escaped text may not.
        if (!text.startsWith(typed)) option.label = `${typed} → ${text}`;
        return option;
      }),
    );
  }

  async function update() {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    const typed = field.value;
    try {
      const texts = field.selectionStart === typed.length ? await find(typed, signal) : [];
      if (!signal.aborted) show(typed, texts);
    } catch {
      if (!signal.aborted) list.replaceChildren();
    }
  }

  function soon() {
    clearTimeout(timer);
    // What is asked for is no longer what is typed.
    asked.abort();
    timer = setTimeout(update, PAUSE);
  }

  field.addEventListener("input", soon);
  field.addEventListener("focus", soon);
  field.addEventListener("click", soon);
  if (document.activeElement === field) soon();
}

if (field) {
  const list = document.createElement("datalist");
  list.id = field.getAttribute("list");
  document.body.append(list);
  start(list);
}
