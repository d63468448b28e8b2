// What makes the form for a code quicker; without this file everything works by submitting it.
const form = document.querySelector("form[data-poll]");
const field = document.getElementById("code");
const line = document.getElementById("way");
const calling = document.querySelector("button[value=call]");
const waiting = document.getElementById("wait");
const EVERY_MS = 2000;
const FOR_MS = 120000;

document.getElementById("errors")?.focus();

// A form is sent once, however often a button is pressed.
let sent = false;
const listening = new AbortController();
form.addEventListener("submit", (event) => {
  if (sent) event.preventDefault();
  sent = true;
  listening.abort();
});
addEventListener("pageshow", () => { sent = false; });

// The browser may offer the code of the message, which then is sent at once; typing never sends anything.
if (field && "OTPCredential" in window) {
  navigator.credentials
    .get({ otp: { transport: ["sms"] }, signal: listening.signal })
    .then((found) => {
      if (found && !field.value) {
        field.value = found.code;
        form.requestSubmit(form.querySelector("[value=check]"));
      }
    })
    .catch(() => {});
}

// Buttons that would be refused still wait; the server said for how long, and decides.
for (const button of form.querySelectorAll("[data-wait]")) {
  const wait = Number(button.dataset.wait);
  if (wait > 0) {
    button.disabled = true;
    setTimeout(() => {
      button.disabled = false;
      if (waiting && button.value === "resend") waiting.textContent = waiting.dataset.over;
    }, wait * 1000);
  }
}

const began = Date.now();
const look = async () => {
  if (sent || Date.now() - began > FOR_MS) return;
  try {
    const answer = await fetch(form.dataset.poll, { cache: "no-store", redirect: "error" });
    if (!answer.ok) return;
    const news = await answer.json();
    if (line && news.line && news.line !== line.textContent) {
      line.textContent = news.line;
      line.dataset.way = news.state;
    }
    if (news.call && calling) calling.disabled = false;
    if (news.over && !sent) return field ? undefined : form.requestSubmit(form.querySelector("[value=check]"));
  } catch {
    // The line stays as it is; the next look may reach us again.
  }
  setTimeout(look, EVERY_MS);
};
if (form.dataset.poll) setTimeout(look, EVERY_MS);
