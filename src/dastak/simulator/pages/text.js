// How numbers, codes and texts are shown. What came over the network becomes text nodes, never markup.

// The language most often written in a script; a screen reader and the fonts need one.
const LANGUAGES = [
  [/\p{Script=Devanagari}/u, "hi"], [/\p{Script=Bengali}/u, "bn"], [/\p{Script=Gurmukhi}/u, "pa"],
  [/\p{Script=Gujarati}/u, "gu"], [/\p{Script=Oriya}/u, "or"], [/\p{Script=Tamil}/u, "ta"],
  [/\p{Script=Telugu}/u, "te"], [/\p{Script=Kannada}/u, "kn"], [/\p{Script=Malayalam}/u, "ml"],
  [/\p{Script=Arabic}/u, "ur"],
];

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function shown(msisdn) {
  const [, code, national] = /^\+(91|1|[2-9]\d)(\d+)$/.exec(msisdn) ?? [, "", msisdn.slice(1)];
  const groups = {91: /^(\d{5})(\d{5})$/, 1: /^(\d{3})(\d{3})(\d{4})$/}[code]?.exec(national)?.slice(1);
  return ["+" + code, ...(groups ?? national.match(/\d{1,4}/g))].join(code ? " " : "");
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

export function chip(code) {
  const hint = make("i", {textContent: "Copy"});
  const button = make("button", {className: "chip", type: "button"}, make("b", {textContent: code}), hint);
  button.setAttribute("aria-label", `Copy code ${[...code].join(" ")}`);
  button.addEventListener("click", () => copy(code, hint));
  return button;
}

// Puts a command into its place, with a button that copies it.
export function offer(code, line) {
  code.textContent = line;
  const box = code.closest(".shell");
  box.querySelector("button")?.remove();
  const button = make("button", {className: "plain", type: "button", textContent: "Copy"});
  button.addEventListener("click", () => copy(line, button));
  box.append(button);
}

export function speak(sentence) {
  document.getElementById("spoken").textContent = sentence;
}

async function copy(text, label) {
  try {
    await navigator.clipboard.writeText(text);
    label.textContent = "Copied";
    speak("Copied");
  } catch {
    // Away from localhost a browser wants https for its clipboard.
    label.textContent = "Not allowed here";
    speak("This browser does not let the page copy. Select the text instead.");
  }
  setTimeout(() => { label.textContent = "Copy"; }, 1800);
}
