// Keep the form while one types, and let both previews follow; without this file every button does the same.
const form = document.getElementById("editor");
const said = document.getElementById("saved");
const frames = [...document.querySelectorAll("iframe")];
const choice = document.getElementById("preview-choice");
const PAUSE_MS = 600;
// A second press of a button within this time is a slip of the finger.
const TWICE_MS = 3000;
const NOT_SAVED = "Not saved yet.";
const SIGNED_OUT = "Not saved: you are signed out. Sign in in another tab, then press Save here.";
let waiting = 0;
let sending = false;
let waited = false;
let keeping = Promise.resolve();

const show = () => {
  for (const frame of frames) frame.contentWindow.location.replace(frame.contentWindow.location.href);
};

// Whoever is signed out is sent to sign in; a form is signed for one session, and anew for who signed in again.
const signed = async () => {
  const answer = await fetch(form.action, { redirect: "manual" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const token = page.querySelector("#editor [name=form]");
  if (token) form.elements.form.value = token.value;
  else said.textContent = answer.type === "opaqueredirect" ? SIGNED_OUT : NOT_SAVED;
  return token !== null;
};

const send = () => {
  const data = new FormData(form);
  for (const [name, value] of [...data]) if (value instanceof File) data.delete(name);
  data.set("do", "save");
  data.set("quiet", "yes");
  return fetch(form.action, { method: "POST", body: data, redirect: "manual" });
};

const keep = async () => {
  // It goes with the form that is being sent.
  if (sending) return;
  let answer = await send();
  if (answer.status === 403 && (await signed())) answer = await send();
  const told = await answer.json().catch(() => ({}));
  if (Number.isInteger(told.edition)) {
    form.elements.edition.value = told.edition;
    said.textContent = told.faults ? `Saved. ${told.faults} to mend before publishing.` : "Saved. Ready to publish.";
    if (told.waits) said.textContent += " Press Save to change its address, who gets codes, or the days.";
    show();
  } else {
    said.textContent = answer.type === "opaqueredirect" ? SIGNED_OUT : told.complaint || NOT_SAVED;
  }
};

form.addEventListener("input", (event) => {
  if (event.target.type === "file") return;
  clearTimeout(waiting);
  waiting = setTimeout(() => { waiting = 0; keeping = keeping.then(keep).catch(() => { said.textContent = NOT_SAVED; }); }, PAUSE_MS);
});

form.addEventListener("submit", (event) => {
  clearTimeout(waiting);
  if (waited) return;
  // What is being kept in the background comes first, or the two would be taken for two editors. And a form that
  // is sent by somebody who is signed out would be lost with what is in it.
  const button = event.submitter;
  event.preventDefault();
  if (sending) return;
  sending = true;
  keeping = keeping.then(signed).then((ready) => {
    if (!ready) { sending = false; return; }
    waited = true;
    form.requestSubmit(button);
    waited = false;
    setTimeout(() => { sending = false; }, TWICE_MS);
  }).catch(() => { sending = false; said.textContent = NOT_SAVED; });
});

// With script one choice is for both screens; its buttons show it on one of them.
choice.addEventListener("change", () => {
  const address = `${choice.action}?${new URLSearchParams(new FormData(choice))}`;
  for (const frame of frames) frame.contentWindow.location.replace(address);
});
