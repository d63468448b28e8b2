// A call on the phone: it rings, is answered or declined, speaks, and takes keys.
import {make, said, shown, speak} from "./text.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const SAMPLES_PER_S = 8000;
// What is heard begins so much later than it came, so that a late piece leaves no gap.
const AHEAD_S = 0.25;
const ENDED_MS = 6000;
const BUSY = {"486 Busy Here": "Busy", "600 Busy Everywhere": "Busy", "480 Temporarily Unavailable": "Not reached", "503 Service Unavailable": "The network is full", "603 Decline": "Declined", "487 Request Terminated": "Not answered", "CANCEL": "The caller gave up", "BYE": "Call ended"};

const panel = document.getElementById("call");
let call = null;
let heard = null;
let timer = 0;

// Source: ITU-T G.711, the µ-law.
const LINEAR = Float32Array.from({length: 256}, (_, octet) => {
  const turned = ~octet & 0xff;
  const magnitude = (((turned & 0x0f) << 3) + 0x84) << ((turned & 0x70) >> 4);
  return (turned & 0x80 ? 0x84 - magnitude : magnitude - 0x84) / 32768;
});

class Ear {
  constructor(id) {
    this.audio = new AudioContext();
    this.at = 0;
    this.stream = new EventSource(`/sim/calls/${id}/sound`);
    this.stream.addEventListener("sound", (event) => this.play(atob(event.data)));
    this.stream.addEventListener("end", () => this.stream.close());
    this.stream.addEventListener("error", () => this.stream.close());
  }

  play(octets) {
    const piece = this.audio.createBuffer(1, octets.length, SAMPLES_PER_S);
    const samples = piece.getChannelData(0);
    for (let n = 0; n < octets.length; n++) samples[n] = LINEAR[octets.charCodeAt(n)];
    const source = this.audio.createBufferSource();
    source.buffer = piece;
    source.connect(this.audio.destination);
    this.at = Math.max(this.at, this.audio.currentTime + (this.at > this.audio.currentTime ? 0 : AHEAD_S));
    source.start(this.at);
    this.at += piece.duration;
  }

  // What is pending may still be heard.
  close() {
    this.stream.close();
    setTimeout(() => this.audio.close(), Math.max(0, this.at - this.audio.currentTime) * 1000 + 100);
  }
}

async function act(path, body) {
  await fetch(`/sim/calls/${call.id}/${path}`, {
    method: "POST",
    headers: {"content-type": "application/json"},
    body: body ? JSON.stringify(body) : undefined,
  });
}

function button(className, words, pressed) {
  const made = make("button", {className, type: "button", textContent: words});
  made.addEventListener("click", pressed);
  return made;
}

function head(words) {
  return [make("p", {className: "call-state", textContent: words}), said("p", "call-from", call.caller || "No caller id")];
}

function ringing() {
  panel.replaceChildren(...head("Incoming call"), make("div", {className: "call-choice"},
    button("decline", "Decline", () => act("hang-up")),
    button("answer", "Answer", answer)));
  panel.querySelector(".answer").focus();
  speak(`Incoming call from ${call.caller || "no caller id"} on ${shown(call.msisdn)}`);
}

function answer() {
  heard = new Ear(call.id);
  act("answer");
}

function answered() {
  heard ??= new Ear(call.id);
  const pressed = make("output", {className: "pressed", textContent: call.keys});
  const lasts = make("time", {className: "lasts", textContent: "0:00"});
  const began = Date.now();
  clearInterval(timer);
  timer = setInterval(() => {
    const seconds = Math.floor((Date.now() - began) / 1000);
    lasts.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }, 500);
  const pad = make("div", {className: "keypad", role: "group"}, ...KEYS.map((key) => button("key", key, () => {
    pressed.textContent += key;
    act("keys", {key});
  })));
  pad.setAttribute("aria-label", "Keypad");
  panel.replaceChildren(...head("On the call"), lasts, pressed, pad,
    button("decline", "Hang up", () => act("hang-up")),
    make("p", {className: "hint", textContent: "Listen, and press the digit that you are asked for. Keys of your keyboard work too."}));
  pad.querySelector("button").focus();
}

function ended() {
  clearInterval(timer);
  heard?.close();
  heard = null;
  const was = call;
  panel.replaceChildren(...head(BUSY[call.why] ?? call.why));
  speak(`Call over: ${BUSY[call.why] ?? call.why}`);
  setTimeout(() => {
    if (call === was) panel.hidden = true;
  }, ENDED_MS);
}

// Shows a call as it stands now.
export function show(news) {
  const same = call?.id === news.id && call.state === news.state;
  call = news;
  if (same) return;
  panel.hidden = false;
  panel.dataset.state = news.state;
  ({ringing, answered, ended})[news.state]();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea");
  if (call?.state !== "answered" || typing || !KEYS.includes(event.key)) return;
  document.querySelectorAll(".keypad .key")[KEYS.indexOf(event.key)].click();
});
