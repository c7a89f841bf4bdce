// Keep a page up to date: request it every few seconds, and replace what has changed: rows of the
// table, and other elements with data-live. The focus, selected rows and players are kept.

const SECONDS = 5;
const FOCUSABLE = "a, button, input";
const LONGEST = 30; // seconds: then the connection may be dead

let timer;
const news = document.getElementById("news");
const signedOut = document.getElementById("signed-out");
const known = new Set(); // the ids of the rows that have been shown

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  const live = document.getElementById("live");
  news.textContent = ""; // so that screen readers say the same text again
  // If "All that match" is chosen, the count must stay what the user has chosen.
  if (live && !document.querySelector("#table [name=all]:checked")) {
    const { type, status, text } = await ask(live).catch(() => ({})); // the service may be down
    const isSignedOut = type === "opaqueredirect";
    if (type) signedOut.hidden = !isSignedOut;
    if (isSignedOut || [403, 404].includes(status)) return;
    // A search may have replaced the table meanwhile.
    if (status === 200 && live.isConnected) update(live, text);
  }
  clearTimeout(timer);
  timer = setTimeout(look, SECONDS * 1000);
}

async function ask({ dataset }) {
  const headers = { "If-None-Match": dataset.liveState };
  const signal = AbortSignal.timeout(LONGEST * 1000);
  // Without a session the server redirects to the sign-in page.
  const answer = await fetch(dataset.liveAddress, { headers, signal, redirect: "manual" });
  return { type: answer.type, status: answer.status, text: await answer.text() };
}

function update(live, text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const fresh = page.getElementById("live");
  if (!fresh) return;
  const [now, next] = [document, page].map((root) => root.querySelector("#table tbody"));
  for (const { id } of now?.rows ?? []) known.add(id);
  live.dataset.liveState = fresh.dataset.liveState;
  // On later pages of a table, new rows come from the page before, so they are not counted.
  if (next && "countsNew" in fresh.dataset) announce(countNew(now, next));
  if (now && next) updateRows(now, next);
  else if (now || next) replace(document.getElementById("table"), page.getElementById("table"));
  for (const part of page.querySelectorAll("[data-live]")) {
    const old = document.getElementById(part.id);
    if (!old || old.dataset.live === part.dataset.live) continue;
    const text = part.dataset.news;
    if (text && text !== old.dataset.news) news.textContent = text;
    replace(old, part);
  }
}

// New messages are unheard, and above rows that are there already. The last rows of a page may come
// from the next page.
function countNew(now, next) {
  const rows = [...next.rows];
  const last = rows.findLastIndex((row) => now?.querySelector(`#${row.id}`));
  const above = last < 0 ? rows : rows.slice(0, last);
  return above.filter((row) => row.matches(".unheard") && !known.has(row.id)).length;
}

function announce(count) {
  const { one, many } = news.dataset;
  if (count) news.textContent = count === 1 ? one : many.replace("%n", count);
}

// Rows that have stayed are not touched here, so that the browser keeps its place.
function updateRows(now, next) {
  const focused = document.activeElement;
  const index = [...now.rows].findIndex((row) => row.contains(focused));
  const ids = new Set([...next.rows].map(({ id }) => id));
  for (const row of [...now.rows]) if (!ids.has(row.id)) row.remove();
  let place = now.rows[0];
  for (const row of [...next.rows]) {
    const old = document.getElementById(row.id);
    if (old && old === place) {
      place = place.nextElementSibling;
      continue;
    }
    now.insertBefore(old ?? row, place ?? null);
    if (!old) enhanceNew(row);
  }
  // A row that was moved has lost the focus. The next row gets that of one that is gone.
  if (index < 0 || focused === document.activeElement) return;
  const { rows } = now;
  const link = rows[Math.min(index, rows.length - 1)].querySelector("a");
  (focused.isConnected ? focused : link).focus({ preventScroll: true });
}

function enhanceNew(element) {
  htmx.process(element);
  htmx.trigger(element, "htmx:load");
}

// A row stays selected. The focus goes to the element with the same id, by htmx, or else to the one
// at the same place.
function replace(old, part) {
  const place = [...old.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  const isSelected = old.matches("tr") && old.querySelector("[name=uuid]").checked;
  if (isSelected) part.querySelector("[name=uuid]").setAttribute("checked", "");
  htmx.swap(old, part.outerHTML, { swapStyle: "outerHTML" });
  if (place < 0 || document.activeElement !== document.body) return;
  const elements = document.getElementById(part.id).querySelectorAll(FOCUSABLE);
  elements[place]?.focus({ preventScroll: true });
}

document.addEventListener("visibilitychange", look);
timer = setTimeout(look, SECONDS * 1000);
