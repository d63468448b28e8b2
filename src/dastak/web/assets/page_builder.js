// Keep the form while one types, and let both previews follow; without this file every button does the same.
const form = document.getElementById("editor");
const said = document.getElementById("saved");
const frames = [...document.querySelectorAll("iframe")];
const choice = document.getElementById("preview-choice");
const PAUSE_MS = 600;
let waiting = 0;
let keeping = Promise.resolve();

const show = () => {
  for (const frame of frames) frame.contentWindow.location.replace(frame.contentWindow.location.href);
};

const keep = async () => {
  const data = new FormData(form);
  for (const [name, value] of [...data]) if (value instanceof File) data.delete(name);
  data.set("do", "save");
  data.set("quiet", "yes");
  const answer = await fetch(form.action, { method: "POST", body: data });
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) {
    form.elements.edition.value = told.edition;
    said.textContent = told.faults ? `Saved. ${told.faults} to mend before publishing.` : "Saved. Ready to publish.";
    if (told.waits) said.textContent += " Press Save to change its address, who gets codes, or the days.";
    show();
  } else {
    said.textContent = told.complaint || "Not saved yet.";
  }
};

form.addEventListener("input", (event) => {
  if (event.target.type === "file") return;
  clearTimeout(waiting);
  waiting = setTimeout(() => { waiting = 0; keeping = keeping.then(keep).catch(() => { said.textContent = "Not saved yet."; }); }, PAUSE_MS);
});

form.addEventListener("submit", (event) => {
  clearTimeout(waiting);
  if (form.dataset.waited) return;
  // What is being kept in the background comes first, or the two would be taken for two editors.
  const button = event.submitter;
  event.preventDefault();
  const send = () => { form.dataset.waited = "yes"; form.requestSubmit(button); };
  keeping.finally(() => setTimeout(send));
});

// With script one choice is for both screens; its buttons show it on one of them.
choice.addEventListener("change", () => {
  const address = `${choice.action}?${new URLSearchParams(new FormData(choice))}`;
  for (const frame of frames) frame.contentWindow.location.replace(address);
});
