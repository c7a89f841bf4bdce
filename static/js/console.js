// Keyboard shortcuts, local times and row selection. Every page also works without JavaScript.

// --- Times: the server sends UTC. Show the reader's time zone, and the exact time on hover.

const formats = { date: new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }) };
formats.time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    time.title = exact.format(moment);
    time.textContent = formats[time.dataset.show ?? "time"].format(moment);
  }
}

// --- Dates in a filter are days of that time zone, too.

const { timeZone } = Intl.DateTimeFormat().resolvedOptions();

function nameZone(root) {
  for (const field of root.querySelectorAll("[name=zone]")) field.value = timeZone;
  for (const name of root.querySelectorAll("[data-zone]")) name.textContent = timeZone;
}

// --- If the session has ended, htmx gets the sign-in page; if the page is too old, a refusal. Then
// reload: the server keeps what htmx has sent. It keeps only what is sent, so if another form has
// unsaved changes, send that one instead. A search or filter is opened as a page, with its address.

document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr, requestConfig, pathInfo } = event.detail;
  const isSignIn = new URL(xhr.responseURL).pathname.startsWith("/sign-in/");
  if (!isSignIn && !xhr.getResponseHeader("HX-Refresh")) return;
  event.preventDefault();
  leavingWith = document.querySelector("[data-unsaved='1']");
  const { elt } = requestConfig;
  const hasAddress = elt.closest("[hx-push-url]")?.getAttribute("hx-push-url") === "true";
  if (leavingWith && leavingWith !== elt.closest("form")) leavingWith.submit();
  else if (hasAddress) location.assign(pathInfo.finalRequestPath);
  else location.reload();
});

// --- A double click sends a form once. A form with data-once is never sent again, because its answer
// shows a secret only once; the attribute is the button's text meanwhile.

const sent = new WeakMap();

document.addEventListener("submit", (event) => {
  const { target, timeStamp } = event;
  if (event.defaultPrevented || target.method !== "post") return;
  if (timeStamp - sent.get(target) < 2000) {
    event.preventDefault();
    return;
  }
  sent.set(target, timeStamp);
  const button = target.dataset.once && target.querySelector("button");
  if (!button) return;
  button.disabled = true;
  button.textContent = target.dataset.once;
});

// --- A form with data-unsaved="1" has unsaved changes: the browser asks before the page is left,
// unless the form itself is sent. The first change removes the success message.

let leavingWith;

function markUnsaved(form) {
  if (!form?.dataset.unsaved) return;
  form.dataset.unsaved = "1";
  for (const message of document.querySelectorAll(".messages .success")) message.remove();
}

document.addEventListener("input", ({ target }) => markUnsaved(target.form));
document.addEventListener("click", ({ target }) => {
  if (target.matches("[data-fills-in]")) markUnsaved(target.form);
  const link = target.closest("a");
  if (link) leavingWith = link.closest("form"); // Cancel
});
document.addEventListener("submit", (event) => {
  if (!event.defaultPrevented) leavingWith = event.target;
});
window.addEventListener("beforeunload", (event) => {
  for (const form of document.querySelectorAll("[data-unsaved='1']")) {
    const isEmpty = ![...form.elements].some(({ type, value }) => type !== "hidden" && value);
    if (form !== leavingWith && !isEmpty) event.preventDefault();
  }
  leavingWith = undefined;
});

// --- A click anywhere in a row opens it, unless it selects text or is for another control.

document.addEventListener("click", ({ target, ctrlKey, metaKey, shiftKey }) => {
  const link = target.closest(".rows tbody tr")?.querySelector(".name a");
  if (!link || target.closest("a, button, input, .select")) return;
  if (getSelection().type === "Range") return;
  const keys = { ctrlKey, metaKey, shiftKey }; // to open a new tab or window
  link.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ...keys }));
});

// --- Row selection: count the selected rows, and select all rows of the page.

function updateSelection(table) {
  const boxes = [...table.querySelectorAll("[name=uuid]")];
  const every = table.querySelector(".every");
  if (!every) return;
  const all = table.querySelector("[name=all]");
  const checked = boxes.filter((box) => box.checked).length;
  every.hidden = false;
  every.checked = checked === boxes.length;
  every.indeterminate = checked > 0 && checked < boxes.length;
  for (const box of boxes) box.disabled = !!all?.checked;
  const label = table.querySelector(".selected");
  const { one, many } = label.dataset;
  label.textContent = all?.checked || !checked ? "" : checked === 1 ? one : many.replace("%n", checked);
}

document.addEventListener("change", ({ target }) => {
  const table = target.closest("#table");
  if (!table) return;
  if (target.matches(".every")) {
    for (const box of table.querySelectorAll("[name=uuid]")) box.checked = target.checked;
  }
  updateSelection(table);
});

// Leave empty parameters out of the address, and the time zone if there are no dates.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.verb !== "get") return;
  for (const [name, value] of [...detail.formData]) if (!value) detail.formData.delete(name);
  if (!["since", "until"].some((name) => detail.formData.has(name))) detail.formData.delete("zone");
});

// --- Escape or a click elsewhere closes the filters.

const filters = document.querySelector(".filters");
document.addEventListener("click", ({ target }) => {
  if (filters && !filters.contains(target)) filters.open = false;
});
filters?.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  filters.open = false;
  filters.querySelector("summary").focus();
});

// --- Keyboard shortcuts.

const help = document.getElementById("help");
const rows = () => [...document.querySelectorAll("tr[data-row]")];

function move(step) {
  const all = rows();
  const now = all.findIndex((row) => row.contains(document.activeElement));
  const next = now < 0 ? all[0] : all[Math.min(Math.max(now + step, 0), all.length - 1)];
  next?.querySelector("a")?.focus();
}

// Do an action with the selected rows, or else with the row that has the focus.
function act(choose) {
  const now = document.activeElement.closest("tr[data-row]");
  let chosen = rows().filter((row) => row.querySelector("[name=uuid]:checked"));
  if (!chosen.length && now) chosen = [now];
  const button = document.querySelector(`#table [name=action][value=${choose(chosen)}]`);
  if (!button || !(chosen.length || button.form.elements.all?.checked)) return;
  for (const row of chosen) row.querySelector("[name=uuid]").checked = true;
  focused = now ? rows().indexOf(now) : -1;
  button.click();
}

const isUnheard = (row) => row.matches(".unheard");

// The row at the same place gets the focus when the table has been replaced.
let focused = -1;

function restoreFocus() {
  const all = rows();
  if (focused >= 0) all[Math.min(focused, all.length - 1)]?.querySelector("a").focus();
  focused = -1;
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
  e: () => act((chosen) => (chosen.length && !chosen.some(isUnheard) ? "unhear" : "hear")),
  "#": () => act(() => "delete"),
  x: () => document.activeElement.closest("tr[data-row]")?.querySelector("[type=checkbox]")?.click(),
};

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  const typing = target.closest("input:not([type=checkbox]), textarea, select, dialog");
  // A page's own buttons and links come first. Enter is for what has the focus.
  const own = document.querySelector(`[aria-keyshortcuts="${CSS.escape(key)}"]`);
  const press = own ? () => own.click() : keys[key];
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !press) return;
  if (key === "Enter" && target !== document.body) return;
  event.preventDefault();
  press();
});

// Escape leaves the search field and keeps the results, so that j and k move through them.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !event.target.matches("[type=search]")) return;
  event.preventDefault();
  event.target.blur();
});

// Focus the first invalid field, unless another element has or will get the focus.
function focusInvalid(root) {
  if (document.activeElement !== document.body || root.querySelector("[autofocus]")) return;
  root.querySelector("[aria-invalid=true]")?.focus();
}

// --- A chosen greeting can be heard, if it is one of this service.

function showGreeting(player, { selectedOptions }) {
  const { audio } = selectedOptions[0]?.dataset ?? {};
  player.hidden = !audio;
  if (audio) player.querySelector("audio").src = audio;
}

function showGreetings(root) {
  for (const player of root.querySelectorAll(".picked")) {
    const select = player.parentElement.querySelector("select");
    select.addEventListener("change", () => showGreeting(player, select));
    showGreeting(player, select);
  }
}

function enhance(root) {
  localise(root);
  nameZone(root);
  // An error replaces the messages above a form that stays.
  if (root.id === "messages") root.querySelector(".error")?.scrollIntoView({ block: "center" });
  focusInvalid(root);
  showGreetings(root);
  const table = root.closest?.("#table") ?? root.querySelector("#table");
  if (table) {
    updateSelection(table);
    restoreFocus();
  }
}

enhance(document);
document.addEventListener("htmx:load", ({ detail }) => enhance(detail.elt));
