// Send the page's forms as calls of the API, and show the answers.

const calls = document.querySelector(".calls");
const credential = document.getElementById("credential");

function send(form) {
  const inputs = [...form.elements].filter((input) => input.name && input.value);
  const found = (place) => inputs.filter((input) => input.dataset.in === place).map(({ name, value }) => [name, value]);
  let address = form.dataset.path;
  for (const [name, value] of found("path")) address = address.replace(`{${name}}`, encodeURIComponent(value));
  const query = new URLSearchParams(found("query"));
  if (query.size) address += `?${query}`;
  const headers = [...new FormData(credential), ...found("header")].filter(([, value]) => value);
  let body = form.elements.body?.value;
  if (body) headers.push(["Content-Type", "application/json"]);
  const fields = inputs.filter((input) => input.dataset.in === "form");
  if (fields.length) {
    body = new FormData();
    for (const { name, files, value } of fields) body.append(name, files?.[0] ?? value);
  }
  return fetch(address, { method: form.dataset.method, headers, body, credentials: "omit" });
}

// Let the recording be saved. The page's policy allows it no player.
function offer(link, recording) {
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(recording);
  link.hidden = false;
  return `${recording.type}, ${recording.size}`;
}

function indent(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

calls.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  if (form === credential || form.ariaBusy === "true") return; // a second click is not a second call
  const status = form.querySelector("[role=status]");
  const shown = form.querySelector("pre");
  form.ariaBusy = "true";
  status.textContent = "";
  shown.textContent = "";
  form.querySelector("a[download]")?.setAttribute("hidden", "");
  try {
    const answer = await send(form);
    const body = answer.headers.get("Content-Type")?.startsWith("audio/")
      ? offer(form.querySelector("a[download]"), await answer.blob())
      : indent(await answer.text());
    status.textContent = `${answer.status} ${answer.statusText}`;
    const explained = calls.dataset.headers.split(" ").filter((name) => answer.headers.has(name));
    shown.textContent = [...explained.map((name) => `${name}: ${answer.headers.get(name)}`), "", body].join("\n");
  } catch (error) {
    status.textContent = `${calls.dataset.failed} ${error.message}`;
  }
  shown.hidden = !shown.textContent;
  form.ariaBusy = "false";
});

calls.hidden = false;
