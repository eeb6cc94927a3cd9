// Small helps that every page may use; each page works without them. A module, so that its names
// are not those of a page's own script.
import { rememberParts } from "./in_place.js"; // first: it notes the page as it was sent

// Sentences stand in templates/_words.html, in the reader's language.
const wordOf = (name, values = {}) => {
  const text = document.getElementById("words")?.dataset[name] ?? "";
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
};

// A copy button: <button data-copy="text">; without a text it copies the <pre> of its snippet.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  event.preventDefault();
  let told = wordOf("copied");
  try {
    const text = button.dataset.copy || button.closest(".snippet").querySelector("pre").textContent;
    await navigator.clipboard.writeText(text);
    button.classList.add("copied");
  } catch {
    // No clipboard without a secure origin: select the text, so that the keyboard can copy it.
    const around = button.closest(".snippet") ?? button.parentElement;
    const source = around.querySelector("code, pre");
    if (source) window.getSelection().selectAllChildren(source);
    told = wordOf("pressCopy");
  }
  announcer.textContent = told;
  const icons = button.matches(".icon-button");
  const before = icons ? button.title : button.textContent;
  const show = (text) => { if (icons) button.title = text; else button.textContent = text; };
  if (icons) button.dataset.told = told;
  if (before !== told) show(told);
  setTimeout(() => {
    show(before);
    delete button.dataset.told;
    button.classList.remove("copied");
    announcer.textContent = "";
  }, 1500);
});

// The next page comes in the browser's time zone.
const { zoneCookie } = document.documentElement.dataset;
if (zoneCookie) {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  document.cookie = `${zoneCookie}=${timeZone}; path=/; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
}

// Times come in the server's zone, which they name, and are shown in the reader's.
const SHOWN = {
  minute: { dateStyle: "medium", timeStyle: "short" },
  second: { dateStyle: "medium", timeStyle: "medium" },
  clock: { timeStyle: "medium" },
};
// The user's zone, where they chose one; else the browser's.
const ZONE = document.documentElement.dataset.zone || undefined;
const { lang } = document.documentElement;
const LANGUAGE = lang.startsWith("en") ? "en-GB" : lang; // 1 Feb 2026, not Feb 1
export const localTime = (when) => new Intl.DateTimeFormat(LANGUAGE, { ...SHOWN.minute, timeZone: ZONE }).format(when);
function localTimes() {
  for (const node of document.querySelectorAll("time[datetime]")) {
    const when = new Date(node.getAttribute("datetime"));
    if (Number.isNaN(when.getTime())) continue;
    const style = SHOWN[node.dataset.local]; // relative times have none, and stay as they are
    if (style || !node.title) node.title = when.toLocaleString(LANGUAGE, { timeZone: ZONE });
    if (style) node.textContent = new Intl.DateTimeFormat(LANGUAGE, { ...style, timeZone: ZONE }).format(when);
  }
}

// Seconds that pass are counted here, so that a part in which nothing else happens stays the same.
function countSeconds() {
  for (const node of document.querySelectorAll("[data-since]")) {
    const seconds = Math.floor((Date.now() - new Date(node.dataset.since).getTime()) / 1000);
    node.textContent = `${Math.max(0, seconds)} s`;
  }
}
setInterval(countSeconds, 1000);

// What is told to a screen reader stands in nodes that stay: one for what a part of the page says
// anew (its [data-say] elements), one for troubles, which everybody sees.
export const announcer = document.createElement("div");
announcer.className = "visually-hidden";
announcer.setAttribute("role", "status");
const troubles = document.createElement("div");
troubles.className = "visually-hidden"; // so that it takes no room while it is empty
troubles.setAttribute("role", "alert");
const said = new Map();
function sentences(part) {
  const own = part.matches("[data-say]") ? [part] : [];
  const nodes = [...own, ...part.querySelectorAll("[data-say]")];
  return nodes.map((node) => node.innerText.replace(/\s+/g, " ").trim()).join(". ");
}
function announce(part) {
  const text = sentences(part);
  if (text && text !== said.get(part.id)) announcer.textContent = text;
  said.set(part.id, text);
}
document.addEventListener("DOMContentLoaded", () => {
  for (const part of document.querySelectorAll("[hx-trigger^=every]")) said.set(part.id, sentences(part));
  document.querySelector("#content")?.prepend(troubles);
  document.body.append(announcer);
  localTimes();
  countSeconds();
});

// Parts that ask each second are replaced only where the answer differs from the one before: a
// selected text stays selected. Where the keyboard was in a part, it is there again afterwards.
const answers = new Map();
const opened = new Map(); // by the id of a part: which of its folds are open
let held = null;
const folds = (part) => [...part.querySelectorAll("details")];
function likeness(element) {
  for (const name of ["id", "href", "data-copy", "name"]) {
    const value = element.getAttribute(name);
    if (value) return `${element.localName}[${name}="${CSS.escape(value)}"]`;
  }
  return element.localName;
}
document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, serverResponse, requestConfig, shouldSwap } = event.detail;
  if (!shouldSwap || !target.id) return;
  if (target.matches("[hx-trigger^=every]")) { // nobody else writes into these
    const answer = `${requestConfig.verb} ${requestConfig.path}\n${serverResponse}`;
    if (answers.get(target.id) === answer) {
      event.detail.shouldSwap = false;
      return;
    }
    answers.set(target.id, answer);
    opened.set(target.id, folds(target).map((fold) => fold.open));
  }
  const element = document.activeElement;
  const part = element?.closest("[id]:not(body)");
  if (!part || element === document.body) return;
  const root = part === element ? element.parentElement.closest("[id]") ?? part : part;
  const like = likeness(element);
  held = { element, root: root.id, like, place: [...root.querySelectorAll(like)].indexOf(element) };
});
// The banner comes with each of these answers. It is read out, and its link may have the keyboard: it
// stays where it says the same.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  if (target.id !== "worker-problem") return;
  if (target.textContent.trim() === fragment.textContent.trim()) event.detail.shouldSwap = false;
});
document.addEventListener("htmx:afterSwap", (event) => {
  const part = document.getElementById(event.target.id); // the new one, where it was replaced whole
  const open = opened.get(event.target.id);
  if (part && open && folds(part).length === open.length) {
    folds(part).forEach((fold, n) => { fold.open ||= open[n]; });
  }
  opened.delete(event.target.id);
  rememberParts();
  localTimes();
  countSeconds();
  if (event.target.id) announce(event.target);
  // A button that is disabled while it is pressed loses the keyboard, too.
  if (event.detail.requestConfig?.verb === "post" && document.activeElement === document.body) {
    event.target.focus({ preventScroll: true });
  }
  if (!held || held.element.isConnected) return;
  const root = document.getElementById(held.root);
  const again = root?.querySelectorAll(held.like)[held.place] ?? root;
  if (again && document.activeElement === document.body) {
    if (again === root && !root.hasAttribute("tabindex")) root.tabIndex = -1;
    again.focus({ preventScroll: true });
  }
  held = null;
});

// While a form leads to another page, the parts of this one are no longer brought up to date: an
// answer that says "log in" would lead away from where the form leads, as after a log-out.
let leaving;
function leave() {
  clearTimeout(leaving);
  leaving = setTimeout(() => { leaving = undefined; }, 10000); // the form may have led to a download
}
for (const name of ["htmx:beforeRequest", "htmx:beforeOnLoad"]) {
  document.addEventListener(name, (event) => {
    if (leaving && event.detail.elt.matches("[hx-trigger^=every]")) event.preventDefault();
  });
}

// What went wrong is said once, and until a request of the same kind succeeds.
let trouble = null;
function tell(verb, kind, text, id) {
  const box = document.createElement("div");
  box.className = `callout ${kind}`;
  box.textContent = id ? `${text} ${wordOf("requestId")} ${id}` : text;
  trouble = { verb, text };
  troubles.className = "";
  troubles.replaceChildren(box);
  box.scrollIntoView({ block: "nearest" });
}
document.addEventListener("htmx:sendError", (event) => {
  const { verb } = event.detail.requestConfig;
  const text = wordOf(verb === "get" ? "noAnswerGet" : "noAnswerPost");
  if (trouble?.text !== text) tell(verb, "warn", text);
});
document.addEventListener("htmx:responseError", (event) => {
  const { verb } = event.detail.requestConfig;
  const { status } = event.detail.xhr;
  let text = wordOf("notAccepted", { status });
  if (status === 403) {
    text = wordOf("refused");
  } else if (status === 404) {
    text = wordOf("notThere");
  } else if ((status === 503 || status === 507) && event.detail.xhr.getResponseHeader("content-type")?.startsWith("text/plain")) {
    text = event.detail.xhr.responseText; // the portal says itself what it is short of
  } else if (status >= 500) {
    text = wordOf(verb === "get" ? "failedGet" : "failedPost", { status });
  }
  const id = event.detail.xhr.getResponseHeader("X-Request-ID");
  if (trouble?.text !== text) tell(verb, "error", text, id);
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (!trouble || !event.detail.successful || event.detail.requestConfig.verb !== trouble.verb) return;
  trouble = null;
  troubles.className = "visually-hidden";
  troubles.replaceChildren();
});

// A form must not be sent twice by a double click.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.dataset.sent === "1") {
    if (form.dataset.sent === "1") event.preventDefault();
    return;
  }
  if (form.method !== "post" || form.hasAttribute("hx-post")) return;
  form.dataset.sent = "1";
  leave();
  setTimeout(() => { delete form.dataset.sent; }, 4000);
});
window.addEventListener("pageshow", () => {
  clearTimeout(leaving);
  leaving = undefined;
  for (const form of document.forms) delete form.dataset.sent;
});

// The answer of a form shows a new secret once. Reloaded, it would send the form again, and make
// another one; so a reload leads where "Done" does.
const shownOnce = document.querySelector("a[data-shown-once]");
if (shownOnce) window.history.replaceState(null, "", shownOnce.href);
