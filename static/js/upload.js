// The upload form: drop a file, see it travel, lose nothing where the server says no.
// Without this script it is a plain form that works.

const form = document.getElementById("upload");
const input = document.getElementById("id_archive");
const drop = document.getElementById("drop");
const progress = document.getElementById("progress");
const send = document.getElementById("send");
let request = null;
let again = false; // whether something was sent from this page before

function readable(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${bytes.toFixed(unit && bytes < 100 ? 1 : 0)} ${units[unit]}`;
}

function say(id, sentences) {
  const list = document.getElementById(id);
  list.replaceChildren(...sentences.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
}

function problem(text) {
  const box = document.createElement("div");
  box.className = "callout error";
  box.textContent = text;
  document.getElementById("problem").replaceChildren(box);
}

function chosen() {
  const file = input.files[0];
  if (!file) return;
  document.getElementById("chosen").textContent = file.name;
  document.getElementById("chosen-size").textContent = readable(file.size);
  const named = /\.(tar\.gz|tgz)$/i.test(file.name);
  say("archive-problem", named ? [] : [`${file.name} is not named *.tar.gz.`]);
  const name = document.getElementById("id_name");
  if (name && !name.value) {
    name.value = file.name.toLowerCase().replace(/\.(tar\.gz|tgz)$/, "").replace(/_v\d+$/, "")
      .replace(/[^a-z0-9._-]+/g, "-").replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "").slice(0, 63);
    name.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

input.addEventListener("change", chosen);
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, () => drop.classList.add("over"));
}
for (const kind of ["dragleave", "drop"]) {
  drop.addEventListener(kind, () => drop.classList.remove("over"));
}

function idle() {
  request = null;
  progress.hidden = true;
  send.disabled = false;
  delete form.dataset.sent;
}

const atLogin = (address) => new URL(address).pathname === "/login/";

function askToLogIn() {
  problem("You are not allowed to upload, or were logged out. Nothing was kept. Log in in another tab and try again; what you entered is still here.");
}

// Before a second try: whoever logged in anew got a new CSRF token, and whoever did not need not
// send a large file in vain.
async function takeNewToken() {
  const answer = await fetch(window.location.href);
  if (!answer.ok || atLogin(answer.url)) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  form.elements.csrfmiddlewaretoken.value = page.querySelector("#upload [name=csrfmiddlewaretoken]").value;
  return true;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (request || send.disabled) return;
  send.disabled = true;
  try {
    if (again && !(await takeNewToken())) {
      askToLogIn();
      idle();
      return;
    }
  } catch {
    problem("The portal does not answer. Nothing was sent; try again.");
    idle();
    return;
  }
  again = true;
  document.getElementById("problem").replaceChildren();
  progress.hidden = false;
  const bar = progress.querySelector("progress");
  const text = document.getElementById("progress-text");
  bar.value = 0;
  const began = performance.now();
  request = new XMLHttpRequest();
  request.open("POST", form.action || window.location.href);
  request.upload.addEventListener("progress", (step) => {
    if (!step.lengthComputable) return;
    bar.value = (100 * step.loaded) / step.total;
    const speed = step.loaded / ((performance.now() - began) / 1000);
    text.textContent = `${Math.floor(bar.value)} %, ${readable(step.loaded)} of ${readable(step.total)}, ${readable(speed)}/s`;
  });
  request.upload.addEventListener("load", () => {
    bar.removeAttribute("value");
    text.textContent = "It has arrived and is being stored";
  });
  request.addEventListener("load", () => {
    const here = form.action || window.location.href;
    const out = atLogin(request.responseURL || here);
    if (!out && request.status === 200 && request.responseURL !== here) {
      window.location.assign(request.responseURL);
      return;
    }
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const theirs = page.getElementById("upload");
    if (theirs) {
      // Take the sentences only: what was typed and chosen stays as it is.
      document.getElementById("problem").innerHTML = page.getElementById("problem").innerHTML;
      for (const id of ["name-problem", "archive-problem"]) {
        const from = page.getElementById(id);
        if (from) document.getElementById(id)?.replaceWith(from);
      }
      if (!form.querySelector(".errors li, .callout.error")) {
        problem("The form was not accepted. Please look at what you entered.");
      }
    } else if (out || request.status === 401 || request.status === 403) {
      askToLogIn();
    } else {
      // Why it was refused before it was read, or what the portal is short of.
      const told = page.getElementById("refusal")?.textContent;
      problem(told ?? `The portal answered with an error (${request.status}). Nothing was kept; try again.`);
    }
    idle();
    form.querySelector(".errors li, .callout.error")?.scrollIntoView({ block: "center" });
  });
  request.addEventListener("error", async () => {
    // A browser that is still sending may not see why the server would not take it.
    const allowed = await takeNewToken().catch(() => true);
    if (allowed) problem("The connection was lost before the upload was complete. Nothing was kept; try again.");
    else askToLogIn();
    idle();
  });
  request.addEventListener("abort", () => {
    problem("Cancelled. Nothing was kept.");
    idle();
  });
  request.send(new FormData(form));
});

document.getElementById("cancel").addEventListener("click", () => request?.abort());
window.addEventListener("beforeunload", (event) => { if (request && request.readyState < 4) event.preventDefault(); });
