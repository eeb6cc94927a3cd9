// The upload form: drop a file, see it travel, lose nothing where the server says no.
// Without this script it is a plain form that works.

const form = document.getElementById("upload");
const input = document.getElementById("id_archive");
const drop = document.getElementById("drop");
const progress = document.getElementById("progress");
const send = document.getElementById("send");
// Every sentence stands in the page, in the reader's language; {parts} are put in here.
const words = document.getElementById("upload-words").dataset;
const tell = (key, parts = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => parts[name] ?? "");
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
  say("archive-problem", named ? [] : [tell("notNamed", { name: file.name })]);
  const name = document.getElementById("id_name");
  if (name && !name.value) {
    name.value = fitting(
      file.name.toLowerCase().replace(/\.(tar\.gz|tgz)$/, "").replace(/_v\d+$/, ""), name,
    );
    suggested = name.value;
    name.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

// A name that the file suggested and that is taken is replaced by a free one; a typed one is not.
let suggested = "";
document.addEventListener("htmx:afterSwap", () => {
  const name = document.getElementById("id_name");
  const free = document.getElementById("name-problem")?.dataset.free;
  if (!name || !free || !suggested || name.value !== suggested) return;
  name.value = free;
  suggested = "";
  say("name-problem", []);
});

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

function link(box, text, href, newTab = false) {
  const element = document.createElement("a");
  element.href = href;
  element.textContent = text;
  if (newTab) element.target = "_blank";
  box.append(" ", element);
}

// In a new tab, so that what was typed and chosen stays here.
function askToLogIn() {
  const next = encodeURIComponent(window.location.pathname);
  link(problem(tell("loggedOut")), tell("logIn"), `/login/?next=${next}`, true);
}

// Before a second try: whoever logged in anew got a new CSRF token, and whoever did not need not
// send a large file in vain.
async function takeNewToken() {
  const answer = await fetch(window.location.href);
  if (!answer.ok || atLogin(answer.url)) return false; // a page leads to the log-in
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
      if (atLogin(answer.url) || [401, 403].includes(answer.status)) return "logged out";
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
  problem(`${why} ${tell("looking")}`, "warn");
  text.textContent = tell("lookingFor");
  try {
    const question = new URLSearchParams({ ...sent, sha256: await sha256(file) });
    const found = await lookFor(question, seconds, looking.signal);
    if (found === "logged out") {
      problem(`${why} ${tell("foundLoggedOut")}`);
    } else if (found === "not asked") {
      problem(`${why} ${tell("foundNobody")}`);
    } else if (found) {
      const parts = { size: readable(file.size), name: found.name, state: found.state };
      link(problem(`${why} ${tell("found", parts)}`, "success"), tell("open", parts), found.url);
      there = true;
    } else {
      const parts = { size: readable(file.size), seconds };
      problem(`${why} ${tell(seconds ? "notFoundAfter" : "notFoundYet", parts)}`);
    }
  } catch (error) {
    if (!looking.signal.aborted) throw error;
    problem(`${why} ${tell("ended")}`);
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
    say("archive-problem", [tell("chooseFirst")]);
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
    problem(tell("noAnswer"));
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
    text.textContent = tell("progress", {
      percent: Math.floor(bar.value), sent: readable(step.loaded), total: readable(step.total), speed: readable(speed),
    });
  });
  request.upload.addEventListener("load", () => {
    complete = true;
    bar.removeAttribute("value");
    text.textContent = tell("storing");
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
        problem(tell("notAccepted"));
      }
    } else if (out || request.status === 401) {
      askToLogIn();
    } else if (told) {
      problem(told);
    } else if (request.status === 403) {
      problem(tell("refused")); // another role, or another session: the next try takes its token
    } else if (request.status === 413) {
      // A proxy's: it may have sent this before or after it handed the bytes on.
      findOut(tell("proxyTooLarge"), file, sent, 0);
      return;
    } else {
      findOut(tell("otherAnswer", { status: request.status }), file, sent, LOOK_FOR_S);
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
      findOut(tell("endedLate"), file, sent, LOOK_FOR_S);
    } else {
      problem(tell("endedEarly"));
      idle();
    }
  });
  request.addEventListener("abort", () => {
    if (complete) {
      findOut(tell("cancelledLate"), file, sent, LOOK_FOR_S);
      return;
    }
    problem(tell("cancelled"));
    idle();
  });
  request.send(new FormData(form));
});

document.getElementById("cancel").addEventListener("click", () => {
  if (looking) looking.abort();
  else request?.abort();
});
window.addEventListener("beforeunload", (event) => { if (request && request.readyState < 4) event.preventDefault(); });
