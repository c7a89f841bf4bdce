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
  const body = form.elements.body?.value;
  if (body) headers.push(["Content-Type", "application/json"]);
  return fetch(address, { method: form.dataset.method, headers, body, credentials: "omit" });
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
  try {
    const answer = await send(form);
    const body = indent(await answer.text());
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
