// Return the accessibility rules that the page breaks, each with its elements, as axe finds them.
//
// The contrast rule is slow: for each element it takes ten times as long as all other rules
// together. So it checks only three of the elements that look alike, background included.

async (isAll) => {
  const STYLES = ["background-color", "background-image", "opacity", "position"];

  const describe = (element) => {
    const style = getComputedStyle(element);
    const look = [element.tagName, element.matches(":disabled, [aria-disabled=true], :disabled *")];
    look.push(style.color, style.fontSize, style.fontWeight, style.textShadow, style.visibility);
    for (let under = element; under; under = under.parentElement) {
      const style = getComputedStyle(under);
      look.push(...STYLES.map((name) => style.getPropertyValue(name)));
    }
    return look.join();
  };
  const hasText = (element) =>
    element.matches("input, select, textarea") ||
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());

  const alike = {};
  for (const element of document.body.querySelectorAll("*")) {
    if (hasText(element) && element.checkVisibility()) (alike[describe(element)] ??= []).push(element);
  }
  const samples = Object.values(alike).flatMap((elements) => elements.slice(0, 3));

  const colours = { resultTypes: ["violations"], runOnly: ["color-contrast"] };
  const others = { resultTypes: ["violations"], rules: { "color-contrast": { enabled: false } } };
  const found = (await axe.run(samples, colours)).violations;
  if (isAll) found.push(...(await axe.run(document, others)).violations);
  return found.map((rule) => [rule.id, rule.nodes.map((node) => node.html)]);
};
