// The filter, and one language for all samples. The page also works without JavaScript.

const form = document.querySelector(".filter");
const box = form.querySelector("input");
const status = form.querySelector("[role=status]");
const commands = [...document.querySelectorAll(".command")].map((article) => ({
  article,
  words: [...article.querySelectorAll("h3, .call, .columns > :first-child dt code")]
    .map((part) => part.textContent.toLowerCase())
    .join(" "),
}));

function filter() {
  const terms = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { article, words } of commands) {
    article.hidden = !terms.every((word) => words.includes(word));
  }
  // Hide a section without a matching command, but only while the filter has text.
  for (const section of document.querySelectorAll(".body section")) {
    section.hidden = terms.length > 0 && !section.querySelector(".command:not([hidden])");
  }
  for (const item of document.querySelectorAll(".contents li")) {
    const target = document.getElementById(item.querySelector("a").hash.slice(1));
    item.hidden = target.closest("article, section").hidden;
  }
  const count = commands.filter(({ article }) => !article.hidden).length;
  const { none, one, many } = status.dataset;
  status.textContent = terms.length ? [none, one][count] ?? many.replace("%n", count) : "";
}

form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
box.addEventListener("input", filter);
box.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    box.value = "";
    filter();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && event.target !== box) {
    event.preventDefault();
    box.focus();
  }
});

// A language chosen for one sample applies to all of them.
document.addEventListener("change", ({ target }) => {
  if (target.type !== "radio") return;
  const before = target.getBoundingClientRect().top;
  for (const radio of document.querySelectorAll(`.samples [value=${target.value}]`)) {
    radio.checked = true;
  }
  scrollBy(0, target.getBoundingClientRect().top - before); // the samples above have changed their height
});
