// The console's comforts: keys, times in the reader's zone. Every page is whole without them.

// --- Times: the server writes UTC; shown is the reader's own zone, the exact time on hover.

const shown = { date: new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }) };
shown.time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    time.title = exact.format(moment);
    time.textContent = shown[time.dataset.show ?? "time"].format(moment);
  }
}

// --- A session that has ended: sign in, and come back to this page rather than to a part of it.

document.addEventListener("htmx:beforeSwap", (event) => {
  if (!new URL(event.detail.xhr.responseURL).pathname.startsWith("/sign-in/")) return;
  event.preventDefault();
  location.reload();
});

// --- Forms marked data-once, with the words for it: a second click would ask for a second answer,
// and what the first one showed is shown only once.

document.addEventListener("submit", ({ target }) => {
  const button = target.dataset.once && target.querySelector("button");
  if (!button) return;
  button.disabled = true;
  button.textContent = target.dataset.once;
});

// --- Selecting rows: how many, and all of a page at once.

function count(table) {
  const boxes = [...table.querySelectorAll("[name=uuid]")];
  const every = table.querySelector(".every");
  if (!every) return;
  const all = table.querySelector("[name=all]");
  const checked = boxes.filter((box) => box.checked).length;
  every.hidden = false;
  every.checked = checked === boxes.length;
  every.indeterminate = checked > 0 && checked < boxes.length;
  for (const box of boxes) box.disabled = all.checked;
  const label = table.querySelector(".selected");
  const { one, many } = label.dataset;
  label.textContent = all.checked || !checked ? "" : checked === 1 ? one : many.replace("%n", checked);
}

document.addEventListener("change", ({ target }) => {
  const table = target.closest("#table");
  if (!table) return;
  if (target.matches(".every")) {
    for (const box of table.querySelectorAll("[name=uuid]")) box.checked = target.checked;
  }
  count(table);
});

// An address says only what is asked for.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.verb !== "get") return;
  for (const [name, value] of [...detail.formData]) if (!value) detail.formData.delete(name);
});

// --- The filters go away by Escape, and by a click elsewhere.

const filters = document.querySelector(".filters");
document.addEventListener("click", ({ target }) => {
  if (filters && !filters.contains(target)) filters.open = false;
});
filters?.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  filters.open = false;
  filters.querySelector("summary").focus();
});

// --- Keys.

const help = document.getElementById("help");
const rows = () => [...document.querySelectorAll("tr[data-row]")];

function move(step) {
  const all = rows();
  const now = all.findIndex((row) => row.contains(document.activeElement));
  const next = now < 0 ? all[0] : all[Math.min(Math.max(now + step, 0), all.length - 1)];
  next?.querySelector("a")?.focus();
}

function search() {
  const field = document.querySelector("[type=search]");
  if (field) field.focus();
  else location.assign(document.querySelector(".brand").href + "#id_q");
}

const keys = {
  "/": search,
  "?": () => help.showModal(),
  j: () => move(1),
  k: () => move(-1),
  x: () => document.activeElement.closest("tr[data-row]")?.querySelector("[type=checkbox]")?.click(),
};

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  const typing = target.closest("input:not([type=checkbox]), textarea, select, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[key]) return;
  event.preventDefault();
  keys[key]();
});

// Out of the search, with what it found left as it is: then j and k go through the rows.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !event.target.matches("[type=search]")) return;
  event.preventDefault();
  event.target.blur();
});

// To the first field that is wrong, unless somebody is in another one already, or the page has chosen one.
function lead(root) {
  if (document.activeElement !== document.body || root.querySelector("[autofocus]")) return;
  root.querySelector("[aria-invalid=true]")?.focus();
}

function dress(root) {
  localise(root);
  lead(root);
  const table = root.closest?.("#table") ?? root.querySelector("#table");
  if (table) count(table);
}

dress(document);
document.addEventListener("htmx:load", ({ detail }) => dress(detail.elt));
