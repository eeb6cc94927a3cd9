// Parts that ask while nothing is under way are changed in place: only what the server sent anew is
// touched. So what is ticked, typed, opened, selected or has the keyboard stays, and a screen reader
// keeps its place. A row is found again by its id or its data-key.
const TOKEN = "input[name=csrfmiddlewaretoken]";
const PARTS = "[hx-swap=in-place], [data-in-place]";
const sent = new WeakMap(); // by each node of such a part: as the server sent it last

// Each answer has another token, of the same worth.
function blank(tree) {
  for (const field of tree.querySelectorAll(TOKEN)) field.setAttribute("value", "");
}
function remember(node, as) {
  sent.set(node, as);
  const now = [...node.childNodes];
  const then = [...as.childNodes];
  if (now.length !== then.length || now.some((one, n) => one.nodeName !== then[n].nodeName)) return;
  now.forEach((one, n) => remember(one, then[n]));
}

// Note what the server sent, before a script changes it.
export function rememberParts() {
  for (const part of document.querySelectorAll(PARTS)) {
    if (sent.has(part)) continue;
    const as = part.cloneNode(true);
    blank(as);
    remember(part, as);
  }
}

const isBlank = (node) => node.nodeType === Node.TEXT_NODE && !node.data.trim();
const keyOf = (node) => node.id || node.dataset?.key || "";

// For each of the new nodes the old one that becomes it; undefined where none does.
function mates(old, next) {
  const free = new Set(old);
  const found = new Array(next.length);
  const take = (n, fits) => {
    for (const one of free) {
      if (!fits(one)) continue;
      found[n] = one;
      free.delete(one);
      return;
    }
  };
  next.forEach((node, n) => {
    const key = keyOf(node);
    if (key) take(n, (one) => one.nodeName === node.nodeName && keyOf(one) === key);
  });
  next.forEach((node, n) => {
    if (!found[n] && !keyOf(node) && !isBlank(node)) take(n, (one) => sent.get(one)?.isEqualNode(node));
  });
  next.forEach((node, n) => {
    if (found[n] || keyOf(node)) return;
    const className = (one) => one.getAttribute?.("class") ?? "";
    take(n, (one) => one.nodeName === node.nodeName && !keyOf(one) && isBlank(one) === isBlank(node)
      && className(one) === className(node));
  });
  return found;
}

function become(node, next) {
  const was = sent.get(node);
  if (was?.isEqualNode(next)) return; // what a script or the reader made of it stays
  sent.set(node, next);
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.data !== next.data) node.data = next.data;
    return;
  }
  const before = was ?? node;
  for (const name of new Set([...before.getAttributeNames(), ...next.getAttributeNames()])) {
    const value = next.getAttribute(name);
    if (value === before.getAttribute(name)) continue;
    if (value === null) node.removeAttribute(name);
    else node.setAttribute(name, value);
  }
  if (node.matches("form.filters")) { // somebody chooses there, and its fields were made anew
    const counted = node.querySelector(".filters-count");
    const count = next.querySelector(".filters-count");
    if (counted && count) become(counted, count);
    return;
  }
  const old = [...node.childNodes];
  const all = [...next.childNodes];
  const found = mates(old, all);
  for (const one of old) if (!found.includes(one)) one.remove();
  let at = node.firstChild;
  all.forEach((one, n) => {
    const mate = found[n];
    if (!mate) {
      const made = document.importNode(one, true);
      remember(made, one);
      node.insertBefore(made, at);
      return;
    }
    // Blanks are moved rather than what stands between them: what is moved loses the keyboard.
    while (!isBlank(mate) && at && at !== mate && isBlank(at)) at = at.nextSibling;
    if (mate === at) at = at.nextSibling;
    else node.insertBefore(mate, at);
    become(mate, one);
  });
}

function change(part, next) {
  const token = next.querySelector(TOKEN)?.value;
  blank(next);
  const focused = document.activeElement;
  become(part, next);
  for (const field of part.querySelectorAll(TOKEN)) field.value = token;
  if (focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

const inPlace = {
  handleSwap(style, target, fragment, settling) {
    const next = style === "in-place" && fragment.querySelector(`#${CSS.escape(target.id)}`);
    if (!next) return false;
    change(target, next);
    settling.elts.push(target);
    return [target];
  },
};
// By then htmx is there: a page's own script, which may come before it, can be what imports this.
// Pages without a log-in have no htmx, and no such parts.
document.addEventListener("DOMContentLoaded", () => window.htmx?.defineExtension("in-place", inPlace));
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  if (!target.matches("[data-in-place]")) return;
  event.detail.shouldSwap = false;
  change(target, fragment.firstElementChild);
});

// A page that nobody sees asks nothing; once it is seen again, it asks at once. So do other parts that
// ask seldom, or ask AWS each time.
const SEEN_ALONE = "[hx-swap=in-place], [data-seen-alone]";
let missed = false;
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!document.hidden || !event.detail.elt.matches(SEEN_ALONE)) return;
  missed = true;
  event.preventDefault();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !missed) return;
  missed = false;
  for (const part of document.querySelectorAll(SEEN_ALONE)) window.htmx.trigger(part, "seen");
});

rememberParts();
