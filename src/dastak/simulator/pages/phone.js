// One phone: its texts as a conversation, the newest code, and what a developer needs beside it.
import {follow, get} from "./feed.js";
import {show} from "./call.js";
import {address, chip, copyCode, make, offer, said, shown, speak, time} from "./text.js";

const CODINGS = {0: "GSM 7-bit", 1: "ASCII", 3: "Latin-1", 8: "UCS-2"};
const TINTS = 4;
const TEXTS_MAX = 100;

const msisdn = "+" + decodeURIComponent(location.pathname.split("/").pop()).trim().replace(/^\+/, "");
const texts = document.getElementById("texts");
const thread = document.getElementById("thread");
const phone = document.querySelector(".phone");
const count = document.getElementById("count");
const clear = document.getElementById("clear");
const back = document.getElementById("back");
const words = document.getElementById("words");
const unsent = document.getElementById("unsent");
const newest = document.getElementById("newest");
let last = null;

function bubble(text) {
  return make("div", {className: "bubble"},
    said("p", "said", text.text, ...pieces(text)),
    details(text),
    ...(text.code ? [copyCode(text.code)] : []));
}

// The text with its code marked where it first stands, and the autofill line set back.
function pieces({text, code}) {
  const [, body, autofill] = /^([\s\S]*?)(\n?@\S+ #\S+\s*)?$/.exec(text);
  const shownPieces = [];
  const at = code ? body.indexOf(code) : -1;
  if (at < 0) shownPieces.push(body);
  else shownPieces.push(body.slice(0, at), make("mark", {textContent: code}), body.slice(at + code.length));
  if (autofill) shownPieces.push(make("span", {className: "autofill", textContent: autofill}));
  return shownPieces;
}

function details(text) {
  const coding = text.data_coding;
  const facts = {
    "Route": text.route,
    "Data coding": coding === null ? "not by SMPP" : `${coding}${CODINGS[coding] ? `, ${CODINGS[coding]}` : ""}`,
    "Segments": String(text.segments),
    "Received": new Date(text.received_at).toLocaleString([], {dateStyle: "medium", timeStyle: "medium"}),
    "Latency": `${text.latency_ms} ms at the carrier`,
    "Text id": String(text.id),
  };
  const rows = Object.entries(facts).flatMap(([name, fact]) => [
    make("dt", {textContent: name}), make("dd", {}, make("bdi", {textContent: fact}))]);
  const summary = make("summary", {},
    make("time", {dateTime: text.received_at, textContent: time(text.received_at)}), " · Carrier details");
  const folded = make("details", {}, summary, make("dl", {}, ...rows));
  folded.addEventListener("toggle", () => folded.scrollIntoView({block: "nearest"}));
  return folded;
}

function senderOf({sender}) {
  const tint = [...sender].reduce((sum, char) => sum + char.codePointAt(0), 0) % TINTS;
  const face = make("span", {className: "face", textContent: sender.replace(/^[A-Z]{2}-/, "").slice(0, 2) || "?"});
  face.dataset.tint = tint;
  face.setAttribute("aria-hidden", "true");
  return make("p", {className: "sender"}, face, make("bdi", {textContent: sender || "No sender"}));
}

function put(text) {
  const item = make("li", {}, ...(last?.sender === text.sender ? [] : [senderOf(text)]), bubble(text));
  texts.append(item);
  last = text;
  return item;
}

function settle() {
  const held = texts.querySelectorAll("li:not(.mine)").length;
  document.getElementById("blank").hidden = held > 0;
  clear.hidden = held === 0;
  back.hidden = !last?.sender;
  document.getElementById("back-label").textContent = `Text back to ${last?.sender}`;
  count.textContent = held === 0 ? "No texts" : held === 1 ? "1 text" : `${held} texts`;
  newest.hidden = !last?.code;
  document.getElementById("big").replaceChildren(...(last?.code ? [chip(last.code)] : []));
  document.title = `${last?.code ? `${last.code} · ` : ""}${shown(msisdn)} · Dastak`;
}

function announce(text) {
  speak(`New text from ${text.sender || "no sender"}: ${text.text}`);
  phone.classList.remove("knocked");
  requestAnimationFrame(() => phone.classList.add("knocked"));
}

async function read() {
  const known = last;
  offer(document.getElementById("curl"), await (await get(`${address(msisdn)}/curl`)).text());
  const all = await (await get(`${address(msisdn)}/messages`)).json();
  const calls = await (await get(`${address(msisdn)}/calls`)).json();
  const now = calls.findLast(({state}) => state !== "ended");
  if (now) show(now);
  empty();
  all.forEach(put);
  settle();
  thread.scrollTop = thread.scrollHeight;
  if (known && last && last.received_at > known.received_at) announce(last);
}

function text(arrived) {
  if (arrived.id <= (last?.id ?? 0)) return;
  const atEnd = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 80;
  put(arrived).classList.add("fresh");
  if (texts.children.length > TEXTS_MAX) texts.firstElementChild.remove();
  settle();
  announce(arrived);
  if (atEnd) thread.scrollTop = thread.scrollHeight;
}

function empty() {
  texts.replaceChildren();
  last = null;
}

function cleared() {
  empty();
  settle();
  speak("This phone is empty.");
}

// What this phone wrote is shown until the page is opened anew; the carrier keeps no copy for a handset.
async function writeBack(event) {
  event.preventDefault();
  const to = last.sender;
  const wrote = await fetch(`${address(msisdn)}/messages`, {
    method: "POST",
    headers: {"content-type": "application/json"},
    body: JSON.stringify({text: words.value, to}),
  }).then((answer) => answer.ok, () => false);
  unsent.hidden = wrote;
  if (!wrote) return;
  texts.append(make("li", {className: "mine fresh"}, make("div", {className: "bubble"}, said("p", "said", words.value))));
  speak(`Sent to ${to}: ${words.value}`);
  words.value = "";
  thread.scrollTop = thread.scrollHeight;
}

function tick() {
  document.getElementById("clock").textContent = time(Date.now());
}

clear.addEventListener("click", async () => {
  await fetch(`${address(msisdn)}/messages`, {method: "DELETE"});
  thread.focus();
});

back.addEventListener("submit", writeBack);

tick();
setInterval(tick, 1000);
document.getElementById("number").textContent = shown(msisdn);
offer(document.getElementById("wait"), `curl '${location.origin}${address(msisdn)}/messages/next?timeout_s=10'`);
follow({msisdn, read, text, cleared, call: show});
