// The page that uploads archives: a line for each file, with its name, its way to the portal, and what
// becomes of it there. Without this script it is a plain form that works.
import { announcer, localTime } from "./portal.js";
import { API, Failure, forget, Refused, Session, Stopped, Transfer, Unreadable } from "./transfer.js";

const AT_ONCE = 2;
const PLAN_AFTER_MS = 250;
const LOOK_EVERY_MS = 1000;

const form = document.getElementById("upload");
const input = document.getElementById("id_archive");
const drop = document.getElementById("drop");
const list = document.getElementById("lines");
const session = new Session(form);
const MODEL = form.dataset.model; // on the page of a model's new version
// Every sentence stands in the page, in the reader's language; {parts} are put in here.
const words = document.getElementById("upload-words").dataset;
const tell = (key, parts = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => parts[name] ?? "");
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
const lines = []; // in the order of the page

function readable(bytes) {
  const units = ["B", "KB", "MB", "GB"]; // of 1024 each, as the pages of the server write them
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit += 1; }
  return `${bytes.toFixed(unit && bytes < 100 ? 1 : 0)} ${units[unit]}`;
}

function lasting(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return tell("seconds", { seconds: whole });
  if (whole < 3600) return tell("minutes", { minutes: Math.floor(whole / 60), seconds: whole % 60 });
  return tell("hours", { hours: Math.floor(whole / 3600), minutes: Math.floor((whole % 3600) / 60) });
}

function link(text, href, newTab = false) {
  const element = document.createElement("a");
  element.href = href;
  element.textContent = text;
  if (newTab) element.target = "_blank";
  return element;
}

// A sentence with elements at its {parts}.
function sentence(key, parts) {
  return words[key].split(/(\{\w+\})/).map((text) => parts[text.slice(1, -1)] ?? text);
}

// A reason, with what stands between backticks as code, as on the other pages.
function withCode(text) {
  const parts = document.createElement("span");
  parts.append(...text.split(/`([^`]+)`/).map((part, n) => {
    if (n % 2 === 0) return part;
    const code = document.createElement("code");
    code.textContent = part;
    return code;
  }));
  return parts;
}

function versionLink({ model, number }) {
  const page = form.dataset.page.replace("NAME", encodeURIComponent(model)).replace(/0(?=\/$)/, number);
  return link(`${model} v${number}`, page);
}

// 256 random bits, as the portal's ids are written.
function randomId() {
  const bits = String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32)));
  return btoa(bits).replaceAll("+", "-").replaceAll("/", "_").replace("=", "");
}

function problem(text) {
  document.getElementById("archive-problem").replaceChildren(...(text ? [item(text)] : []));
}

function item(text) {
  const element = document.createElement("li");
  element.textContent = text;
  return element;
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

// --- one file -------------------------------------------------------------------------------------

// What a line may do, by its state.
const DOES = {
  new: ["cancel"],
  queued: ["pause", "cancel"],
  sending: ["pause", "cancel"],
  waiting: ["again", "pause", "cancel"],
  paused: ["go", "cancel"],
  missing: ["choose", "cancel"],
  storing: [],
  uploaded: [],
  checking: [],
  ready: ["cancel"],
  rejected: ["cancel"],
  refused: ["cancel"],
};
const GOING = ["sending", "waiting", "storing"];
const TO_COME = ["new", "queued", "sending", "waiting", "paused", "storing"]; // it will be a version
const OVER = ["ready", "rejected"];

class Line {
  constructor({ file = null, upload = null }) {
    this.file = file;
    this.upload = upload; // what the portal says of an unfinished one
    this.node = document.getElementById("line").content.firstElementChild.cloneNode(true);
    this.parts = Object.fromEntries([...this.node.querySelectorAll("[data-part]")].map((one) => [one.dataset.part, one]));
    this.buttons = Object.fromEntries([...this.node.querySelectorAll("[data-do]")].map((one) => [one.dataset.do, one]));
    this.title = file?.name ?? upload.file_name;
    this.total = file?.size ?? upload.length;
    this.id = upload?.id ?? "";
    this.kept = upload?.offset ?? 0;
    this.asVersion = false; // of a model that is there: somebody said so
    this.parts.file.textContent = this.title;
    this.parts.size.textContent = readable(this.total);
    this.parts.bar.setAttribute("aria-label", tell("bar", { file: this.title }));
    const { name } = this.parts;
    name?.setAttribute("aria-label", tell("name", { file: this.title }));
    if (file && name) name.value = fitting(file.name.toLowerCase().replace(/\.(tar\.gz|tgz)$/, "").replace(/_v\d+$/, ""), name);
    name?.addEventListener("input", () => { this.asVersion = false; this.said = ""; planSoon(); });
    for (const [what, button] of Object.entries(this.buttons)) button.addEventListener("click", () => this[what]());
    this.badName = Boolean(file) && !/\.(tar\.gz|tgz)$/i.test(file.name);
    if (upload?.problem) this.show("refused");
    else if (upload) this.show(upload.offset < upload.length ? "missing" : "storing");
    else this.show("new");
  }

  get name() {
    return this.upload?.model ?? MODEL ?? this.parts.name.value;
  }

  // Sentences that keep it from being sent; [] where there are none.
  get problems() {
    if (this.upload?.problem) return [this.upload.problem];
    if (this.state !== "new") return [];
    if (this.badName) return [tell("notNamed", { name: this.title })];
    if (!this.total) return [tell("empty", { name: this.title })];
    if (this.said) return this.said;
    const { plan } = this;
    if (!plan || plan.name !== this.name || MODEL) return [];
    if (plan.problem) return [plan.problem];
    if (this.asVersion) return [];
    if (plan.taken) return [tell("taken", { name: this.name })];
    return this.twice ? [tell("twice", { name: this.name })] : [];
  }

  show(state, status = "") {
    const before = this.state;
    this.state = state;
    this.status = status;
    this.draw();
    if (before !== state) changed();
  }

  draw() {
    const { state, parts, buttons, plan } = this;
    const does = DOES[state];
    const held = document.activeElement?.closest?.("[data-do]");
    for (const [what, button] of Object.entries(buttons)) {
      if (what in { version: 1, rename: 1 }) continue;
      button.hidden = !does.includes(what);
    }
    if (held?.hidden && this.node.contains(held)) { // the keyboard stays in the line
      Object.values(buttons).find((one) => !one.hidden)?.focus();
    }
    const removes = ["new", ...OVER, "refused"].includes(state);
    buttons.cancel.title = tell(removes ? "remove" : "cancel", { file: this.title });
    buttons.cancel.setAttribute("aria-label", buttons.cancel.title);
    this.node.dataset.state = state;
    parts.state.hidden = state === "new";
    parts.state.dataset.state = { sending: "running", queued: "kept", missing: "kept", storing: "running", refused: "failed", paused: "kept" }[state] ?? state;
    parts.state.toggleAttribute("data-spinning", ["sending", "storing", "checking"].includes(state));
    if (state !== "new") parts.state.textContent = words[`state${state[0].toUpperCase()}${state.slice(1)}`];
    if (parts.name) parts.name.closest("label").hidden = state !== "new" || this.badName;
    const { problems } = this;
    parts.errors.replaceChildren(...problems.map(item));
    if (parts.name) parts.name.toggleAttribute("aria-invalid", problems.length > 0 && !this.badName);
    const clash = state === "new" && !this.badName && !MODEL && problems.length && plan?.name === this.name && plan.free;
    parts.offers.hidden = !clash;
    if (clash) {
      buttons.version.textContent = tell("asVersion", plan);
      buttons.rename.textContent = tell("asName", { name: plan.free });
    }
    const made = this.made ?? null;
    parts.becomes.hidden = Boolean(made) || (state === "new" && problems.length > 0);
    const becomes = plan?.number && plan.name === this.name && TO_COME.includes(state);
    parts.becomes.textContent = becomes ? tell("becomes", plan) : this.upload ? tell("goesTo", { name: this.name }) : "";
    this.drawProgress();
  }

  drawProgress() {
    const { state, parts, total } = this;
    const sent = this.transfer?.sent ?? this.kept;
    const percent = total ? Math.floor((100 * sent) / total) : 0;
    parts.bar.hidden = ![...GOING, "paused", "missing", "queued"].includes(state) || (state === "queued" && !sent);
    if (state === "storing") parts.bar.removeAttribute("value");
    else parts.bar.value = percent;
    const said = { percent, sent: readable(sent), kept: readable(this.transfer?.kept ?? this.kept), total: readable(total) };
    let status = this.status;
    if (!status && state === "queued") status = tell(sent ? "queuedKept" : "queued", said);
    if (!status && state === "paused") status = tell("paused", said);
    if (!status && state === "storing") status = tell("storing");
    if (!status && state === "missing") status = tell("missing", { ...said, until: localTime(new Date(this.upload.expires_at)) });
    if (!status && state === "sending") {
      const speed = this.transfer?.speed ?? 0;
      if (!this.transfer?.id) status = tell("beginning");
      else if (speed) status = tell("progressSpeed", { ...said, speed: readable(speed), left: lasting((total - sent) / speed) });
      else status = tell("progress", said);
    }
    parts.status.hidden = !status;
    const nodes = [status].flat();
    if (parts.status.textContent !== nodes.map((one) => one.textContent ?? one).join("")) parts.status.replaceChildren(...nodes);
  }

  say(text) {
    announcer.textContent = `${this.title}: ${text}`;
  }

  // --- what its buttons do

  version() {
    this.asVersion = true;
    this.said = "";
    this.draw();
    this.buttons.cancel.focus();
    planSoon();
  }

  rename() {
    this.parts.name.value = this.plan.free;
    this.said = "";
    this.parts.name.focus();
    planSoon();
  }

  async pause() {
    this.transfer?.stop();
    this.show("paused");
    next();
    // What was under way when it was stopped has arrived in part.
    await pause(LOOK_EVERY_MS);
    if (this.state !== "paused" || !this.id) return;
    const found = await session.get(`${API}uploads/${this.id}`).catch(() => null);
    if (this.state !== "paused" || !found) return;
    this.transfer = null;
    this.kept = found.offset;
    this.draw();
  }

  go() {
    this.show("queued");
    next();
  }

  again() {
    this.transfer.hurry();
  }

  choose() {
    expected = this;
    input.click();
  }

  async cancel() {
    this.transfer?.stop();
    const id = this.id || this.uid; // it may just be beginning
    if (id && !OVER.includes(this.state)) {
      this.buttons.cancel.disabled = true;
      this.show("paused");
      try {
        await forget(session, id);
      } catch (error) {
        this.buttons.cancel.disabled = false;
        this.show(this.file ? "paused" : "missing", error.message || tell("notCancelled"));
        return;
      }
      announcer.textContent = tell("cancelled", { file: this.title });
    }
    this.remove();
  }

  remove() {
    const at = lines.indexOf(this);
    const held = this.node.contains(document.activeElement);
    lines.splice(at, 1);
    this.node.remove();
    if (held) (lines[Math.min(at, lines.length - 1)]?.buttons.cancel ?? input).focus();
    changed();
    planSoon();
    next();
  }

  // --- its way

  async start() {
    if (this.transfer) {
      this.kept = this.transfer.kept;
      this.id = this.transfer.id;
    }
    this.show("sending");
    const transfer = new Transfer({
      session, file: this.file, id: this.id, kept: this.kept, begin: (signal) => this.begin(signal), told: this,
    });
    this.transfer = transfer;
    try {
      const made = await transfer.run();
      this.follow(made);
    } catch (error) {
      if (error instanceof Stopped) return;
      if (error instanceof Unreadable) this.lose(tell("unreadable"));
      else if (error instanceof Refused) await this.refuse(error);
      else throw error;
    } finally {
      if (this.transfer === transfer) [this.id, this.kept] = [transfer.id, transfer.kept];
      next();
    }
  }

  async begin(signal) {
    this.uid ||= randomId(); // the same for each try: the answer to one may be lost on the way
    const fields = new URLSearchParams({
      ...this.fields, uid: this.uid, name: this.name, file_name: this.title, length: this.total,
      new: MODEL ? "false" : this.asVersion ? "" : "true",
    });
    const answer = await session.ask("POST", form.dataset.begin, { body: fields, signal, also: [422] });
    const told = await answer.json().catch(() => { throw new Failure(0); });
    if (answer.status === 422) throw new Refused(Object.values(told.errors).flat().join(" "), told.errors);
    this.id = told.id;
    this.uid = "";
    return told.id;
  }

  // What a transfer tells.

  progress() {
    if (this.state !== "sending") this.show("sending");
    else this.drawProgress();
  }

  storing() {
    this.show("storing");
  }

  waits({ error, seconds }) {
    const said = { kept: readable(this.transfer.kept), total: readable(this.total), seconds };
    let status;
    if (error.status === 0 && this.transfer.kept) status = tell(seconds ? "lost" : "lostNow", said);
    else if (error.status === 0) status = tell(seconds ? "lostFirst" : "beginning", said);
    else {
      const text = error.message || tell("failed", { status: error.status });
      status = seconds ? tell("heldUp", { ...said, problem: text }) : text;
    }
    if (this.state !== "waiting") this.say(status);
    this.show("waiting", status);
  }

  loggedOut() {
    const text = tell("loggedOut", { kept: readable(this.transfer.kept), total: readable(this.total) });
    if (this.state !== "waiting") this.say(text);
    const next = encodeURIComponent(window.location.pathname);
    this.show("waiting", [text, " ", link(tell("logIn"), `/login/?next=${next}`, true)]);
  }

  get words() {
    return {
      tooSmall: (size) => tell("tooSmall", { size: readable(size) }),
      failed: (status) => tell("failed", { status }),
      notAllowed: () => tell("notAllowed"),
    };
  }

  // The file is not at hand: only the portal's part is.
  lose(status) {
    this.upload ??= { id: this.transfer.id, model: this.name, file_name: this.title, length: this.total };
    this.file = null;
    this.show("missing", status);
    this.say(status);
  }

  // What was entered can be mended, and it is sent anew.
  async refuse(error) {
    const labels = Object.entries(error.errors).flatMap(([field, texts]) => {
      const label = document.querySelector(`label[for=id_${field === "packing_choice" ? "packing" : field}]`);
      return field === "name" || !label ? texts : texts.map((text) => `${label.textContent.trim()}: ${text}`);
    });
    const { id } = this.transfer;
    this.transfer = null;
    [this.id, this.kept] = ["", 0];
    if (this.upload) this.upload.problem = error.message;
    else this.said = labels.length ? labels : [error.message];
    this.show(this.upload ? "refused" : "new");
    this.say(error.message);
    planSoon();
    if (id) await forget(session, id).catch(() => {}); // else it goes by itself, after a day
  }

  follow(made) {
    this.made = made;
    this.show("uploaded", sentence("stored", { name: versionLink(made) }));
    lookAfter();
  }

  // What the portal says of the version.
  see(version) {
    const name = versionLink(this.made);
    const { state } = version;
    if (version.same_as.length && this.parts.twin.hidden) {
      const [twin] = version.same_as;
      const key = twin.likeness === "same_bytes" ? "sameBytes" : "sameContent";
      this.parts.twin.replaceChildren(...sentence(key, { name: versionLink(twin) }));
      this.parts.twin.hidden = false;
    }
    if (state === "rejected") this.show("rejected", sentence("rejected", { name, reason: withCode(version.reason) }));
    else if (state === "ready") this.show("ready", sentence("ready", { name }));
    else if (state === "checking" && version.step) this.show("checking", [name, `: ${version.step}`]);
    else if (state === "uploaded" || state === "checking") this.show(state, sentence("stored", { name }));
    else this.show("ready", [name]);
    if (OVER.includes(this.state)) this.say([this.status].flat().map((one) => one.textContent ?? one).join(""));
  }
}

// --- all of them ----------------------------------------------------------------------------------

function changed() {
  list.hidden = !lines.length;
  document.getElementById("for-all").hidden = lines.filter((one) => one.state === "new").length < 2;
}

function add(line) {
  lines.push(line);
  list.append(line.node);
  changed();
}

// Which begin now: two at a time, and of one model one after the other, so that the numbers are as said.
function next() {
  const going = lines.filter((one) => GOING.includes(one.state) && one.file);
  const models = new Set(going.map((one) => one.name));
  for (const line of lines) {
    if (going.length >= AT_ONCE) return;
    if (line.state !== "queued" || models.has(line.name)) continue;
    models.add(line.name);
    going.push(line);
    line.start();
  }
}

// What each would become: asked a moment after the last change, and once more before it is sent.
let planning = null;
let planned = Promise.resolve();
function planSoon() {
  clearTimeout(planning);
  planning = setTimeout(() => { planned = plan(); }, PLAN_AFTER_MS);
}

async function plan() {
  planning = null;
  const asked = lines.filter((one) => TO_COME.includes(one.state) && !(one.upload && !one.file) && one.name);
  if (!asked.length) return;
  const body = new URLSearchParams(asked.map((one) => ["name", one.name]));
  body.append("store", form.elements.store?.value ?? "");
  let plans = [];
  try {
    ({ plans } = await (await session.ask("POST", form.dataset.plan, { body })).json());
  } catch (error) {
    // The token is an old one where somebody logged in anew; what begins is checked anyway.
    if (error.status === 403) await session.renew().catch(() => false);
    problem(error.status === 0 ? tell("checkedLater") : "");
    return;
  }
  problem("");
  const seen = new Set();
  asked.forEach((line, at) => {
    const found = plans[at];
    if (!found || found.name !== line.name) return; // typed meanwhile, and asked again
    line.plan = found;
    line.twice = seen.has(found.name);
    seen.add(found.name);
    line.draw();
  });
}

// One request after the other: a browser has few connections to one server, and uploads need them.
let looking = false;
async function lookAfter() {
  if (looking) return;
  looking = true;
  for (;;) {
    const open = lines.filter((one) => (one.made && !OVER.includes(one.state)) || (one.state === "storing" && !one.file));
    if (!open.length) break;
    for (const line of open) {
      try {
        await look(line);
      } catch {
        // It is asked again.
      }
    }
    await pause(LOOK_EVERY_MS);
  }
  looking = false;
}

async function look(line) {
  if (line.made) {
    const { model, number } = line.made;
    line.see(await session.get(`${API}models/${encodeURIComponent(model)}/versions/${number}`));
    return;
  }
  const now = await session.get(`${API}uploads/${line.id}`);
  if (now.problem) {
    line.upload = now;
    line.show("refused");
  } else if (now.made) {
    line.follow(now.made);
  }
}

// --- files ----------------------------------------------------------------------------------------

let expected = null; // the line whose button led to the choice

async function take(files) {
  const wanted = expected;
  expected = null;
  problem("");
  if (wanted && files.length === 1 && !fits(wanted, files[0])) {
    wanted.show("missing", tell("otherName", { file: wanted.title, size: readable(wanted.total) }));
    wanted.say(wanted.status);
    return;
  }
  for (const file of files) {
    const line = lines.find((one) => one.state === "missing" && !one.comparing && fits(one, file));
    if (line) await resume(line, file);
    else add(new Line({ file }));
  }
  if (planning === null) planSoon();
}

const fits = (line, file) => line.title === file.name && line.total === file.size;

async function resume(line, file) {
  line.comparing = true;
  try {
    if (await isSame(line, file)) {
      line.file = file;
      line.show("queued");
      next();
    } else {
      add(new Line({ file }));
      lines.at(-1).show("new", tell("otherFile"));
      lines.at(-1).say(tell("otherFile"));
    }
  } catch (error) {
    line.show("missing", error.message || tell("noAnswer"));
    line.say(line.status);
  } finally {
    line.comparing = false;
  }
}

// By its first bytes, and the last that have arrived: a file of the same name and size may be another.
async function isSame(line, file) {
  const at = Number(form.dataset.knownBy);
  for (let tries = 0; ; tries += 1) {
    try {
      const { offset } = await session.get(`${API}uploads/${line.id}`);
      line.kept = offset;
      const each = Math.min(offset, at);
      const body = new Blob([file.slice(0, each), file.slice(offset - each, offset)]);
      const address = `${form.dataset.same.replace("UID", line.id)}?offset=${offset}`;
      const headers = { "Content-Type": "application/octet-stream" };
      return (await (await session.ask("POST", address, { body, headers })).json()).same;
    } catch (error) {
      if (tries > 2) throw error;
      if (error.status === 403) await session.renew();
      await pause(tries ? 1000 : 0); // another request may just have added to it
    }
  }
}

form.elements.store?.addEventListener("change", planSoon);

function takeChosen() {
  const files = [...input.files];
  input.value = ""; // the same one can be chosen again
  take(files);
}
input.addEventListener("change", takeChosen);
const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault(); // or the browser would open the file in place of the page
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  drop.classList.remove("over");
  take([...event.dataTransfer.files]);
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  document.getElementById("problem").replaceChildren();
  if (planning !== null) {
    clearTimeout(planning);
    planned = plan();
  }
  await planned;
  const fresh = lines.filter((one) => one.state === "new");
  if (!fresh.length) {
    problem(tell("chooseFirst"));
    return;
  }
  const fields = Object.fromEntries(new FormData(form));
  const common = {
    description: fields.description ?? "", note: fields.note, meta: fields.meta, packing_choice: fields.packing,
    store: fields.store ?? "",
  };
  for (const line of fresh) line.said = ""; // what was entered may be right now
  const wrong = fresh.filter((one) => one.problems.length || !one.name);
  for (const line of fresh) {
    if (wrong.includes(line)) continue;
    line.fields = common;
    line.show("queued");
  }
  list.scrollIntoView({ block: "nearest" });
  const [first] = wrong;
  if (first) {
    (first.parts.name && !first.badName ? first.parts.name : first.buttons.cancel).focus();
    first.say(first.problems.join(" "));
  }
  next();
});

window.addEventListener("beforeunload", (event) => {
  if (lines.some((one) => ["queued", "sending", "waiting"].includes(one.state))) event.preventDefault();
});

// --- the page as the script has it -----------------------------------------------------------------

form.noValidate = true;
input.multiple = true;
input.required = false;
document.getElementById("chosen").textContent = tell("choose");
const single = document.getElementById("one-name");
if (single) {
  single.hidden = true;
  single.querySelector("input").disabled = true;
}

for (const upload of JSON.parse(form.dataset.unfinished)) add(new Line({ upload }));
lookAfter();
// Chosen before this script was there, or kept by the browser when the page was loaded anew.
if (input.files.length) takeChosen();
