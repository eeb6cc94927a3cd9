// Small helps that every page may use; each page works without them.

// A copy button: <button data-copy="text">; without a text it copies the <pre> of its snippet.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  event.preventDefault();
  const before = button.textContent;
  try {
    const text = button.dataset.copy || button.closest(".snippet").querySelector("pre").textContent;
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // No clipboard without a secure origin: select the text, so that the keyboard can copy it.
    const around = button.closest(".snippet") ?? button.parentElement;
    const source = around.querySelector("code, pre");
    if (source) window.getSelection().selectAllChildren(source);
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => { button.textContent = before; }, 1500);
});

// Times come in the server's zone and are shown in the reader's.
function localTimes(root) {
  for (const node of root.querySelectorAll("time[datetime]")) {
    const when = new Date(node.getAttribute("datetime"));
    if (Number.isNaN(when.getTime())) continue;
    node.title = when.toLocaleString();
  }
}
document.addEventListener("DOMContentLoaded", () => localTimes(document));
document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target));

// A lost connection while a page polls: say so once, and say when it is back.
let away = null;
document.addEventListener("htmx:sendError", () => {
  if (away) return;
  away = document.createElement("div");
  away.className = "callout warn";
  away.setAttribute("role", "status");
  away.textContent = "The portal does not answer. This page goes on by itself when it is back.";
  document.querySelector("main")?.prepend(away);
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (away && event.detail.successful) { away.remove(); away = null; }
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
  setTimeout(() => { delete form.dataset.sent; }, 4000);
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
