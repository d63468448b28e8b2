// The overview: every phone with its newest text, the latest first.
import {follow, get} from "./feed.js";
import {address, chip, make, offer, said, shown, speak, time} from "./text.js";

const list = document.getElementById("phones");
const form = document.getElementById("open");
// Reserved for fiction, and yet every number check lets it pass.
const EXAMPLE = "+12025550100";
const PHONES_MAX = 1000;
// By number, in the order of their newest texts, as on the page from the end on.
const cards = new Map();
let lastId = 0;

function card({newest, messages}) {
  const number = shown(newest.msisdn);
  const item = make("li", {},
    make("h2", {}, make("a", {href: address(newest.msisdn), textContent: number})),
    make("div", {className: "notice"},
      make("header", {},
        make("b", {}, make("bdi", {textContent: newest.sender || "No sender"})),
        make("span", {textContent: time(newest.received_at)})),
      said("p", "", newest.text)),
    ...(newest.code ? [chip(newest.code)] : []),
    make("p", {className: "more", textContent: messages === 1 ? "1 text" : `${messages} texts`}));
  return {item, messages};
}

function put(phone) {
  const {msisdn, id} = phone.newest;
  drop(msisdn);
  const made = card(phone);
  cards.set(msisdn, made);
  list.prepend(made.item);
  if (cards.size > PHONES_MAX) drop(cards.keys().next().value);
  lastId = id;
  return made.item;
}

function toggleEmpty() {
  document.getElementById("nothing").hidden = cards.size > 0;
}

async function read() {
  offer(document.getElementById("curl"), await (await get(`${address(EXAMPLE)}/curl`)).text());
  const phones = await (await get("/sim/phones.json")).json();
  list.replaceChildren();
  cards.clear();
  lastId = 0;
  phones.reverse().forEach(put);
  toggleEmpty();
}

function text(newest) {
  if (newest.id <= lastId) return;
  const before = cards.get(newest.msisdn);
  const held = before?.item.contains(document.activeElement);
  const item = put({newest, messages: (before?.messages ?? 0) + 1});
  item.classList.add("fresh");
  if (held) item.querySelector("a").focus();
  toggleEmpty();
  speak(`New text on ${shown(newest.msisdn)}: ${newest.text}`);
}

function drop(msisdn) {
  cards.get(msisdn)?.item.remove();
  cards.delete(msisdn);
}

function cleared({msisdn}) {
  drop(msisdn);
  toggleEmpty();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const field = form.elements.number;
  const digits = field.value.replace(/[\s().\u2010-\u2015-]/g, "").replace(/^(\+|00)/, "");
  if (/^[1-9][0-9]{5,14}$/.test(digits)) {
    location.assign(address(`+${digits}`));
    return;
  }
  field.setAttribute("aria-invalid", "true");
  document.getElementById("fault").textContent = "Write a number with its country code, such as +1 202 555 0100.";
  field.focus();
});

follow({read, text, cleared});
