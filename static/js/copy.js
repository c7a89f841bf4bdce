// Buttons that copy the text of another element, whose id is in data-copy. They are shown only if
// the browser allows it: pages can write to the clipboard over HTTPS and on localhost only.

function showCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  await navigator.clipboard.writeText(source.value ?? source.textContent);
  const label = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => (button.textContent = label), 2000);
});

showCopyButtons(document);
document.addEventListener("htmx:load", ({ detail }) => showCopyButtons(detail.elt));
