// Return the faults of the layout in this window, in words: of the page, or of a part of it.

(part) => {
  const faults = [];
  const describe = (element) => element.outerHTML.slice(0, 120);

  if (document.documentElement.scrollWidth > innerWidth) faults.push("The page is wider than the window.");

  // A checkbox has its label's area too.
  const getBox = (element) => {
    const labels = element.matches("[type=checkbox], [type=radio]") ? [...element.labels] : [];
    const boxes = [element, ...labels].map((part) => part.getBoundingClientRect());
    return boxes.reduce((one, other) => (other.width * other.height > one.width * one.height ? other : one));
  };
  // A target may be as small as its line of text if it is a part of a sentence (WCAG 2.2, 2.5.8).
  const isInSentence = (element) =>
    getComputedStyle(element).display === "inline" &&
    element.parentElement.textContent.trim() !== element.textContent.trim();

  const targets = [...document.querySelector(part ?? "body").querySelectorAll("a[href], button, input, select, textarea, summary")]
    .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.ariaHidden)
    .map((element) => [element, getBox(element)])
    .filter(([element, box]) => box.width > 1 && box.right > 0 && !element.matches(".skip"));

  const isNarrow = matchMedia("(width < 55rem)").matches;
  for (const [element, { width, height }] of targets) {
    const isMain = element.matches(":is(button, .button):not([data-copy]), [popover] *");
    const least = isNarrow && isMain ? 44 : 24;
    if (isInSentence(element) || (height >= least - 0.5 && width >= 23.5)) continue;
    faults.push(`${Math.round(width)} by ${Math.round(height)} px: ${describe(element)}`);
  }

  // The part of a target that is in sight: a table may scroll on its own.
  const clip = (element, { left, right, top, bottom }) => {
    for (let outer = element.parentElement; outer; outer = outer.parentElement) {
      if (getComputedStyle(outer).overflowX === "visible") continue;
      const box = outer.getBoundingClientRect();
      [left, right] = [Math.max(left, box.left), Math.min(right, box.right)];
      [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
    }
    return { left, right, top, bottom };
  };
  // What stays in view may lie on the rest of the page, which can be scrolled clear of it.
  const getLayer = (element) => {
    const stays = ["sticky", "fixed"];
    while (element && !stays.includes(getComputedStyle(element).position)) element = element.parentElement;
    return element;
  };
  const inSight = targets.map(([element, box]) => [element, clip(element, box), getLayer(element)]);
  for (const [index, [one, a, layer]] of inSight.entries()) {
    for (const [other, b, otherLayer] of inSight.slice(index + 1)) {
      if (layer !== otherLayer) continue;
      const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (width > 1 && height > 1 && !one.contains(other)) faults.push(`${describe(one)} overlaps ${describe(other)}`);
    }
  }

  for (const box of document.querySelectorAll("main *:not(input, textarea)")) {
    const { overflowX, backgroundAttachment } = getComputedStyle(box);
    const isCut = ["auto", "scroll"].includes(overflowX) && box.scrollWidth > box.clientWidth + 1;
    if (isCut && !backgroundAttachment.includes("local")) faults.push(`no sign that it scrolls: ${describe(box)}`);
  }

  const pen = document.createElement("canvas").getContext("2d");
  for (const [element] of targets.filter(([each]) => each.placeholder)) {
    const style = getComputedStyle(element);
    pen.font = style.font;
    const room = element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    if (pen.measureText(element.placeholder).width > room) faults.push(`cut: ${element.placeholder}`);
  }
  return faults;
}
