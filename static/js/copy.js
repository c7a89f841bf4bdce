// Buttons that copy what stands in another element, named by data-copy. They show where copying is
// possible: browsers let pages write to the clipboard over HTTPS and on the machine itself only.

function offerCopies(root) {
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

offerCopies(document);
document.addEventListener("htmx:load", ({ detail }) => offerCopies(detail.elt));
