// What axe finds on the page: each rule broken, and by which elements.
//
// Its rule for colours takes ten times as long as all others together, by the element. So of the
// elements that look alike, on what lies under them, it judges three.

async (isAll) => {
  const STYLES = ["background-color", "background-image", "opacity", "position"];

  const look = (element) => {
    const style = getComputedStyle(element);
    const own = [element.tagName, element.matches(":disabled, [aria-disabled=true], :disabled *")];
    own.push(style.color, style.fontSize, style.fontWeight, style.textShadow, style.visibility);
    for (let under = element; under; under = under.parentElement) {
      const its = getComputedStyle(under);
      own.push(...STYLES.map((name) => its.getPropertyValue(name)));
    }
    return own.join();
  };
  const hasWords = (element) =>
    element.matches("input, select, textarea") ||
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());

  const alike = {};
  for (const element of document.body.querySelectorAll("*")) {
    if (hasWords(element) && element.checkVisibility()) (alike[look(element)] ??= []).push(element);
  }
  const some = Object.values(alike).flatMap((elements) => elements.slice(0, 3));

  const colours = { resultTypes: ["violations"], runOnly: ["color-contrast"] };
  const others = { resultTypes: ["violations"], rules: { "color-contrast": { enabled: false } } };
  const found = (await axe.run(some, colours)).violations;
  if (isAll) found.push(...(await axe.run(document, others)).violations);
  return found.map((rule) => [rule.id, rule.nodes.map((node) => node.html)]);
};
