// What would keep somebody from reading or using the present page, in words; an empty list is what we want.
(targetPxMin) => {
  const all = (selector) => [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
  const told = (each) => each.outerHTML.slice(0, 120);

  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  // Relative luminance and contrast: WCAG 2.2, definitions; 4.5 is success criterion 1.4.3.
  const light = (colour) => channels(colour).slice(0, 3)
    .map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if ((channels(colour)[3] ?? 1) === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (element) => {
    const [dark, bright] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const written = all("body, body *").filter((each) =>
    each.tagName !== "NOSCRIPT" && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  const faint = written.filter((each) => contrast(each) < 4.5);

  const controls = all("button, a, input, select, summary");
  const named = (each) => each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length;
  const nameless = [...controls, ...all("[role=region]")].filter((each) => !named(each));
  // 24 by 24: success criterion 2.5.8; 44 by 44: 2.5.5. Both except links within a sentence; what a label ticks
  // is as large as that label, the links of a list of errors stand in its sentences, and nobody aims at a trap.
  const sentence = (each) => getComputedStyle(each).display === "inline" &&
    (each.closest(".errors") || each.parentElement.textContent.trim() !== each.textContent.trim());
  const target = (each) => (each.matches("[type=checkbox], [type=radio]") && each.labels[0]) || each;
  const small = controls.filter((each) => {
    const {width, height} = target(each).getBoundingClientRect();
    return each.tabIndex >= 0 && !sentence(each) && Math.min(width, height) < targetPxMin;
  });

  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  const levels = all("h1, h2, h3, h4").map((each) => Number(each.tagName[1]));
  return [
    ...faint.map((each) => `contrast ${contrast(each).toFixed(2)}: ${told(each)}`),
    ...nameless.map((each) => `has no name: ${told(each)}`),
    ...small.map((each) => `is too small: ${told(each)}`),
    ...all("img:not([alt])").map((each) => `has no alt: ${told(each)}`),
    ...ids.filter((id, place) => ids.indexOf(id) !== place).map((id) => `is there twice: ${id}`),
    ...levels.filter((level, place) => level > (levels[place - 1] ?? 0) + 1).map((level) => `skips to h${level}`),
    ...(levels.filter((level) => level === 1).length === 1 ? [] : ["has not one h1"]),
    ...(all("main").length === 1 ? [] : ["has not one main"]),
    ...(document.documentElement.lang && document.title ? [] : ["has no language or no title"]),
    ...(document.documentElement.scrollWidth > innerWidth ? ["is wider than the window"] : []),
  ];
}
