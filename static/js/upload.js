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

function problem(text, kind = "error") {
  const box = document.createElement("div");
  box.className = `callout ${kind}`;
  box.textContent = text;
  document.getElementById("problem").replaceChildren(box);
  return box;
}

// The text as the field's pattern allows it: a hyphen for each run of other characters.
function fitting(text, { pattern, maxLength }) {
  const rule = new RegExp(`^(?:${pattern})$`, "u");
  const letters = Array.from(text, (letter) => (rule.test(`a${letter}a`) ? letter : null));
  let name = letters.map((letter, i) => letter ?? (letters[i - 1] === null ? "" : "-")).join("")
    .slice(0, maxLength);
  while (name && !rule.test(name[0])) name = name.slice(1);
  while (name && !rule.test(name.at(-1))) name = name.slice(0, -1);
  return name;
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
    name.value = fitting(
      file.name.toLowerCase().replace(/\.(tar\.gz|tgz)$/, "").replace(/_v\d+$/, ""), name,
    );
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

// --- an upload whose answer is lost ---------------------------------------------------------------

const LOOK_FOR_S = 120; // a proxy gives up sooner than a large archive is stored
const LOOK_EVERY_MS = 3000;
const HASHED_BYTES = 2 ** 31 - 1; // what a browser reads into memory at once
let looking = null; // an AbortController while the page looks for the version

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// The SHA-256 of the file in hexadecimal; empty where this browser cannot tell (no TLS, or too large).
async function sha256(file) {
  if (!window.crypto?.subtle || file.size > HASHED_BYTES) return "";
  try {
    const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    return ""; // not enough memory, or the file is no longer there
  }
}

// Ask the portal for the version made of what was sent, until it is there or `seconds` went by.
// "logged out", "not asked" where the portal never answered, null, or the version.
async function lookFor(question, seconds, signal) {
  const until = performance.now() + 1000 * seconds;
  let asked = false;
  for (;;) {
    try {
      const answer = await fetch(`${form.dataset.arrived}?${question}`, { signal });
      if (atLogin(answer.url) || answer.status === 403) return "logged out";
      if (answer.ok) {
        const { version } = await answer.json();
        if (version) return version;
        asked = true;
      }
    } catch (error) {
      if (signal.aborted) throw error;
    }
    if (performance.now() > until) return asked ? null : "not asked";
    await pause(LOOK_EVERY_MS);
  }
}

// `why` says what is known: that the answer did not come, and from whom one came instead.
async function findOut(why, file, sent, seconds) {
  looking = new AbortController();
  let there = false;
  const text = document.getElementById("progress-text");
  progress.querySelector("progress").removeAttribute("value");
  problem(`${why} Looking whether it arrived …`, "warn");
  text.textContent = "Looking for it in the portal";
  try {
    const question = new URLSearchParams({ ...sent, sha256: await sha256(file) });
    const found = await lookFor(question, seconds, looking.signal);
    if (found === "logged out") {
      problem(`${why} You were logged out, so it is not known whether it arrived. Log in in another tab, and look at the list of models before you upload it again.`);
    } else if (found === "not asked") {
      problem(`${why} The portal does not answer, so it is not known whether it arrived. Look at the list of models before you upload it again; what you entered is still here.`);
    } else if (found) {
      const box = problem(`${why} It did arrive: these ${readable(file.size)} are ${found.name} (${found.state}). `, "success");
      const link = document.createElement("a");
      link.href = found.url;
      link.textContent = `Open ${found.name}`;
      box.append(link);
      there = true;
    } else {
      const when = seconds ? `after ${seconds} s` : "yet";
      problem(`${why} The portal has no version of these ${readable(file.size)} ${when}. They may still be on their way to the store: look at the list of models before you upload them again. What you entered is still here.`);
    }
  } catch (error) {
    if (!looking.signal.aborted) throw error;
    problem(`${why} You ended the search, so it is not known whether it arrived. Look at the list of models before you upload it again.`);
  } finally {
    looking = null;
    idle();
    send.disabled = there; // a second click would make the same version again
    document.getElementById("problem").scrollIntoView({ block: "center" });
  }
}

form.addEventListener("input", () => { if (!request) send.disabled = false; });

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (request || send.disabled) return;
  // Where the browser does not hold the field's `required`.
  if (!input.files.length) {
    say("archive-problem", ["Choose an archive first."]);
    return;
  }
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
  const file = input.files[0];
  const sent = {
    model: form.dataset.model ?? form.elements.name.value,
    after: form.dataset.after,
    size: file.size,
    file_name: file.name,
  };
  let complete = false; // whether the last byte was sent
  request = new XMLHttpRequest();
  request.open("POST", form.action || window.location.href);
  request.upload.addEventListener("progress", (step) => {
    if (!step.lengthComputable) return;
    bar.value = (100 * step.loaded) / step.total;
    const speed = step.loaded / ((performance.now() - began) / 1000);
    text.textContent = `${Math.floor(bar.value)} %, ${readable(step.loaded)} of ${readable(step.total)}, ${readable(speed)}/s`;
  });
  request.upload.addEventListener("load", () => {
    complete = true;
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
    // Why it was refused before it was read, or what the portal is short of.
    const told = page.getElementById("refusal")?.textContent;
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
    } else if (told) {
      problem(told);
    } else if (out || request.status === 401 || request.status === 403) {
      askToLogIn();
    } else if (request.status === 413) {
      // A proxy's: it may have sent this before or after it handed the bytes on.
      findOut("A server in front of the portal answered that the archive is too large (413); ask an admin to raise its limit.", file, sent, 0);
      return;
    } else {
      findOut(`An answer ${request.status} came that says nothing of the upload: the portal's own was lost, or it failed.`, file, sent, LOOK_FOR_S);
      return;
    }
    idle();
    form.querySelector(".errors li, .callout.error")?.scrollIntoView({ block: "center" });
  });
  request.addEventListener("error", async () => {
    // A browser that is still sending may not see why the server would not take it.
    const allowed = await takeNewToken().catch(() => true);
    if (!allowed && !complete) {
      askToLogIn();
      idle();
    } else if (complete) {
      findOut("The connection ended after the last byte was sent, before the portal's answer came.", file, sent, LOOK_FOR_S);
    } else {
      problem("The connection was lost before the upload was complete. Nothing was kept; try again.");
      idle();
    }
  });
  request.addEventListener("abort", () => {
    if (complete) {
      findOut("Cancelled after the last byte was sent.", file, sent, LOOK_FOR_S);
      return;
    }
    problem("Cancelled. Nothing was kept.");
    idle();
  });
  request.send(new FormData(form));
});

document.getElementById("cancel").addEventListener("click", () => {
  if (looking) looking.abort();
  else request?.abort();
});
window.addEventListener("beforeunload", (event) => { if (request && request.readyState < 4) event.preventDefault(); });
