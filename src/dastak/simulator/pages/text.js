// How numbers, codes and texts are shown. What came over the network becomes text nodes, never markup.

// The language most often written in a script; a screen reader and the fonts need one.
const LANGUAGES = [
  [/\p{Script=Devanagari}/u, "hi"], [/\p{Script=Bengali}/u, "bn"], [/\p{Script=Gurmukhi}/u, "pa"],
  [/\p{Script=Gujarati}/u, "gu"], [/\p{Script=Oriya}/u, "or"], [/\p{Script=Tamil}/u, "ta"],
  [/\p{Script=Telugu}/u, "te"], [/\p{Script=Kannada}/u, "kn"], [/\p{Script=Malayalam}/u, "ml"],
  [/\p{Script=Arabic}/u, "ur"],
];

// Source: ITU-T E.164, list of assigned country codes: 1 and 7, those of three digits, and the rest of two.
const CALLING_CODE = /^\+(1|7|2[1-69]\d|3[578]\d|42\d|5[09]\d|6[7-9]\d|8[0578]\d|9[679]\d|[2-9]\d)(\d+)$/;
// How people there write the rest; elsewhere in threes, the first group taking what is over.
const GROUPS = {1: /\d{4}$|\d{3}/g, 91: /\d{5}/g};
const THREES = /^\d{2,4}?(?=(\d{3})+$)|\d{3}/g;
const COPIED_MS = 1800;

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function shown(msisdn) {
  const [, code, national] = CALLING_CODE.exec(msisdn) ?? [, "", msisdn.slice(1)];
  const groups = national.match(GROUPS[code] ?? THREES);
  return `+${code} ${groups?.join("") === national ? groups.join(" ") : national}`;
}

export function address(msisdn) {
  return `/sim/phones/${msisdn}`;
}

export function time(instant) {
  return new Date(instant).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
}

// A text in the direction and language of its script.
export function said(tag, className, text, ...children) {
  const language = LANGUAGES.find(([script]) => script.test(text))?.[1] ?? "";
  return make(tag, {className, dir: "auto", lang: language}, ...(children.length ? children : [text]));
}

// A code in large, as a button that copies it.
export function chip(code) {
  const hint = make("i", {textContent: "Copy"});
  const button = make("button", {className: "chip", type: "button"}, make("b", {textContent: code}), hint);
  return copies(button, code, hint, `Copy code ${spelled(code)}`);
}

// A small button beside a text whose code stands in it.
export function copyCode(code) {
  const button = make("button", {className: "copy", type: "button", textContent: "Copy code"});
  return copies(button, code, button, `Copy code ${spelled(code)}`);
}

// Puts a command into its place, with a button that copies it.
export function offer(code, line) {
  code.textContent = line;
  const bar = code.closest(".shell").querySelector(".shell-bar");
  const button = make("button", {className: "copy", type: "button", textContent: "Copy"});
  bar.querySelector("button")?.remove();
  bar.append(copies(button, line, button, "Copy the command"));
}

export function speak(sentence) {
  document.getElementById("spoken").textContent = sentence;
}

// A screen reader shall say digits, not a number of thousands.
function spelled(code) {
  return [...code].join(" ");
}

function copies(button, text, label, name) {
  const words = label.textContent;
  button.setAttribute("aria-label", name);
  button.addEventListener("click", async () => {
    const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    // Away from localhost a browser wants https before it gives a page its clipboard.
    label.textContent = copied ? "Copied" : "Not allowed";
    speak(copied ? "Copied" : "This browser does not let the page copy. Select the text instead.");
    setTimeout(() => { label.textContent = words; }, COPIED_MS);
  });
  return button;
}
