// What makes the form for a code quicker; without this file everything works by submitting it.
// It is written for browsers from 2016 on: phones with keys have no newer ones.
"use strict";
(() => {
  const form = document.querySelector("form[data-poll]");
  const field = document.getElementById("code");
  const line = document.getElementById("way");
  const waiting = document.getElementById("wait");
  const summary = document.getElementById("errors");
  const go = form.querySelector("[value=check]");
  const calling = form.querySelector("[value=call]");
  // What becomes of the message is to stand here two seconds after we know it, over slow lines too.
  const SOON_MS = 1000;
  const LATER_MS = 3000;
  const FOR_MS = 120000;

  if (summary) summary.focus();

  // A form is sent once, however often a button is pressed: the answer to the first press may be what lets somebody in,
  // and the browser drops it for a second one. After a while again, for its Stop tells nobody.
  const AGAIN_MS = 30000;
  let sent = 0;
  let listening = null;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    else sent = setTimeout(() => { sent = 0; }, AGAIN_MS);
    if (listening) listening.abort();
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    clearTimeout(sent);
    sent = 0;
  });

  // The browser may offer the code of the message, which then is sent at once; typing never sends anything.
  if (field && "OTPCredential" in window) {
    listening = new AbortController();
    navigator.credentials.get({ otp: { transport: ["sms"] }, signal: listening.signal }).then((found) => {
      if (found && !field.value) {
        field.value = found.code;
        go.click();
      }
    }).catch(() => {});
  }

  // Buttons that would be refused still wait; the server said for how long, and decides.
  for (const button of Array.from(form.querySelectorAll("[data-wait]"))) {
    const wait = Number(button.dataset.wait);
    if (wait > 0) {
      button.disabled = true;
      setTimeout(() => {
        button.disabled = false;
        if (waiting && button.value === "resend") waiting.textContent = waiting.dataset.over;
      }, wait * 1000);
    }
  }

  const tell = (news) => {
    if (line && news.line && news.line !== line.textContent) {
      line.textContent = news.line;
      line.dataset.way = news.state;
    }
    if (news.call && calling) calling.disabled = false;
    // The number was typed into the phone: here is nothing left to type.
    if (news.over && !field && !sent) go.click();
    return news.over && !sent ? 0 : news.state === "delivered" ? LATER_MS : SOON_MS;
  };
  const began = Date.now();
  const look = () => {
    if (Date.now() - began > FOR_MS) return;
    if (sent) { setTimeout(look, LATER_MS); return; }
    const asked = Date.now();
    // What ends with a question mark is asked with all that the page itself was asked with.
    fetch(form.dataset.poll.replace(/\?$/, () => location.search), { cache: "no-store", credentials: "same-origin" })
      .then((answer) => answer.ok ? answer.json().then(tell) : answer.status === 503 ? LATER_MS : 0)
      .catch(() => LATER_MS)
      .then((wait) => { if (wait) setTimeout(look, wait - (Date.now() - asked)); });
  };
  if (form.dataset.poll && window.fetch) setTimeout(look, SOON_MS);
})();
