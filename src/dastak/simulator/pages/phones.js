// The overview: every phone with its newest text, the latest first.
import {follow, get} from "./feed.js";
import {address, chip, make, offer, said, shown, speak, time} from "./text.js";

const list = document.getElementById("phones");
const form = document.getElementById("open");
// Reserved for fiction, and yet every number check lets it pass.
const EXAMPLE = "+12025550100";
const PHONES_MAX = 1000;
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
  cards.get(msisdn)?.item.remove();
  const made = card(phone);
  cards.set(msisdn, made);
  list.prepend(made.item);
  if (cards.size > PHONES_MAX) cards.delete([...cards.keys()].find((other) => cards.get(other).item === list.lastElementChild)), list.lastElementChild.remove();
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
  const held = document.activeElement?.closest("#phones li") === cards.get(newest.msisdn)?.item;
  const item = put({newest, messages: (cards.get(newest.msisdn)?.messages ?? 0) + 1});
  item.classList.add("fresh");
  if (held && cards.size) item.querySelector("a").focus();
  toggleEmpty();
  speak(`New text on ${shown(newest.msisdn)}: ${newest.text}`);
}

function cleared({msisdn}) {
  cards.get(msisdn)?.item.remove();
  cards.delete(msisdn);
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
