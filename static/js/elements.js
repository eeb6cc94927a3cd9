// The elements that do more with JavaScript: dialogs, Ctrl+K, toasts, comboboxes, tables.
// Each works without: a dialog's button is a link, a combobox a select, a toast a message.
import { announcer } from "./portal.js";

// --- dialogs: <a href="/page/" data-dialog="id"> or <button data-dialog="id"> opens <dialog id="id">
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener && !(event.ctrlKey || event.metaKey || event.shiftKey)) {
    const dialog = document.getElementById(opener.dataset.dialog);
    if (dialog) {
      event.preventDefault();
      openDialog(dialog);
    }
    return;
  }
  const closer = event.target.closest("[data-close-dialog]");
  if (closer) {
    event.preventDefault();
    closer.closest("dialog").close();
  } else if (event.target.matches("dialog[open]")) { // the backdrop: what is inside is padded
    const box = event.target.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right
      && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) event.target.close();
  }
});
function openDialog(dialog) {
  if (dialog.open) return;
  dialog.showModal();
  if (dialog.id === "palette") openPalette();
}

// --- the palette
const palette = document.getElementById("palette");
const paletteInput = document.getElementById("palette-input");
function openPalette() {
  paletteInput.select();
  paletteInput.dispatchEvent(new Event("palette-open"));
}
document.addEventListener("keydown", (event) => {
  if (!palette || event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
  if (event.altKey || event.shiftKey) return;
  event.preventDefault();
  if (palette.open) palette.close();
  else openDialog(palette);
});
if (/Mac|iPhone|iPad/.test(navigator.platform)) {
  for (const key of document.querySelectorAll(".search-button > kbd")) key.textContent = "⌘ K";
}
palette?.addEventListener("keydown", (event) => {
  if (event.isComposing) return; // Enter ends a Korean syllable first
  const links = [...palette.querySelectorAll("#palette-results a")];
  const at = links.indexOf(document.activeElement);
  if (event.key === "Escape") { // which would empty the field first
    event.preventDefault();
    palette.close();
  } else if (event.key === "ArrowDown" && links.length) {
    event.preventDefault();
    links[(at + 1) % links.length].focus();
  } else if (event.key === "ArrowUp" && links.length) {
    event.preventDefault();
    if (at > 0) links[at - 1].focus();
    else paletteInput.focus();
  } else if (event.key === "Enter" && document.activeElement === paletteInput && links.length
      && !palette.querySelector(".htmx-request")) {
    event.preventDefault();
    links[0].click();
  } else if (at >= 0 && event.key.length === 1 && !(event.ctrlKey || event.metaKey || event.altKey)) {
    paletteInput.focus(); // what is typed goes on in the field
  }
});

// --- toasts: a success goes by itself, not while it is pointed at or has the keyboard
const TOAST_MS = 6000;
const UNDO_MS = 12000;
function expire(toast) {
  const lasting = toast.matches(".error, .warning, .warn");
  if (lasting) return;
  let timer = null;
  const start = () => {
    clearTimeout(timer);
    timer = setTimeout(() => toast.remove(), toast.querySelector("form") ? UNDO_MS : TOAST_MS);
  };
  const stop = () => clearTimeout(timer);
  for (const kind of ["pointerenter", "focusin"]) toast.addEventListener(kind, stop);
  for (const kind of ["pointerleave", "focusout"]) toast.addEventListener(kind, start);
  start();
}
const toasts = [...document.querySelectorAll(".toasts > [data-toast]")];
for (const toast of toasts) expire(toast);
// What stands there when the page comes is read by itself by no screen reader.
if (toasts.length) {
  const told = toasts.map((toast) => toast.querySelector("p").textContent.trim()).join(". ");
  setTimeout(() => { announcer.textContent = told; }, 200);
}
document.addEventListener("click", (event) => {
  event.target.closest("[data-close-toast]")?.closest("[data-toast]").remove();
});

// --- tables: all rows of the page, and how many are ticked
function ticks(form) {
  return [...document.querySelectorAll(`input[type=checkbox][form="${form.id}"]`)];
}
function count() {
  const form = document.querySelector("form.bulk-bar");
  if (!form) return;
  const boxes = ticks(form);
  const ticked = boxes.filter((box) => box.checked).length;
  form.querySelector("[data-bulk-count]").textContent = ticked;
  form.toggleAttribute("data-some", ticked > 0);
  for (const all of document.querySelectorAll("[data-select-all]")) {
    all.checked = ticked > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  }
}
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-select-all]")) {
    const boxes = event.target.closest("table").querySelectorAll("td.select input[type=checkbox]");
    for (const box of boxes) box.checked = event.target.checked;
  }
  if (event.target.matches("[data-select-all], input[type=checkbox][form]")) count();
});
document.addEventListener("htmx:afterSwap", count);
window.addEventListener("pageshow", count);

// A table that is wider than its box scrolls in it, and its head does not stick to the page.
function measure() {
  for (const box of document.querySelectorAll(".table-scroll")) {
    const table = box.querySelector("table");
    if (table) box.classList.toggle("scrolls", table.scrollWidth > box.clientWidth + 1);
  }
}
measure();
window.addEventListener("resize", measure);
document.addEventListener("htmx:afterSwap", measure);

// --- what is opened stays so while its part of the page is replaced: <details id="…" data-stays-open>
const opened = new Set();
document.addEventListener("toggle", ({ target }) => {
  if (target.matches?.("details[data-stays-open]")) opened[target.open ? "add" : "delete"](target.id);
}, true);
document.addEventListener("htmx:afterSwap", () => {
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
});

// --- filters: a choice by the pointer filters at once; by the arrow keys, a button does
let pointed = null;
document.addEventListener("pointerdown", (event) => { pointed = event.target; });
document.addEventListener("keydown", () => { pointed = null; });
document.addEventListener("change", (event) => {
  const field = event.target;
  const chosen = field === pointed || field.dataset.chosen;
  if (chosen && field.matches("form[data-filters] select")) field.form.requestSubmit();
});

// --- combobox: a text field with search over the options of <select data-combobox>
const words = document.getElementById("words");
let boxes = 0;
function combobox(select) {
  if (select.dataset.combobox === "done" || select.multiple) return;
  select.dataset.combobox = "done";
  boxes += 1;
  const id = `combobox-${boxes}`;
  const box = document.createElement("div");
  box.className = "combobox";
  const input = document.createElement("input");
  const list = document.createElement("ul");
  input.type = "text";
  input.id = id;
  input.autocomplete = "off";
  input.spellcheck = false;
  input.disabled = select.disabled;
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list`,
  })) input.setAttribute(name, value);
  for (const name of ["aria-label", "aria-labelledby", "aria-describedby", "aria-invalid"]) {
    if (select.hasAttribute(name)) input.setAttribute(name, select.getAttribute(name));
  }
  const label = select.labels?.[0];
  if (label) {
    label.id ||= `${id}-label`;
    input.setAttribute("aria-labelledby", label.id);
    label.addEventListener("click", (event) => { event.preventDefault(); input.focus(); });
  }
  list.id = `${id}-list`;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", input.getAttribute("aria-label") ?? label?.textContent.trim() ?? select.name);
  list.hidden = true;
  select.classList.add("visually-hidden");
  select.tabIndex = -1;
  select.setAttribute("aria-hidden", "true");
  select.before(box);
  box.append(select, input, list);

  const shown = () => select.selectedOptions[0]?.textContent.replace(/\s+/g, " ").trim() ?? "";
  let active = -1;
  const options = () => [...list.querySelectorAll("[role=option]")];
  function mark(index) {
    active = index;
    options().forEach((one, i) => one.classList.toggle("active", i === index));
    const one = options()[index];
    if (one) {
      input.setAttribute("aria-activedescendant", one.id);
      one.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }
  // Of a long list the select has a part: the server finds others while somebody types. The option
  // that is chosen stays, so that nothing is lost by looking.
  let looked = "";
  let look = null;
  async function more(text) {
    look?.abort();
    if (!select.dataset.source || text === looked) return;
    look = new AbortController();
    const { signal } = look;
    await new Promise((done) => setTimeout(done, 150));
    if (signal.aborted) return;
    try {
      const address = `${select.dataset.source}?q=${encodeURIComponent(text)}`;
      const answer = await fetch(address, { signal, headers: { "HX-Request": "true" } });
      if (!answer.ok || answer.redirected) return; // what is listed already can be chosen still
      const found = document.createElement("select");
      found.innerHTML = await answer.text();
      if (signal.aborted) return;
      const chosen = select.selectedOptions[0];
      const same = chosen && [...found.options].find((one) => one.value === chosen.value);
      if (same) same.selected = true;
      else if (chosen) found.prepend(chosen.parentElement === select ? chosen : alone(chosen));
      if (!same && chosen) chosen.selected = true;
      select.replaceChildren(...found.children);
      looked = text;
      if (!list.hidden) open(input.value === shown() ? "" : input.value);
    } catch (problem) {
      if (problem.name !== "AbortError") console.warn(problem);
    }
  }
  function alone(option) {
    const group = document.createElement("optgroup");
    group.label = option.parentElement.label;
    group.append(option);
    return group;
  }
  function fill(text) {
    const asked = text.toLowerCase().split(/\s+/).filter(Boolean);
    list.replaceChildren();
    let group = null;
    [...select.options].forEach((option, i) => {
      const name = option.textContent.replace(/\s+/g, " ").trim();
      const under = option.parentElement.label ?? "";
      if (option.disabled || !asked.every((part) => `${under} ${name}`.toLowerCase().includes(part))) return;
      if (under && under !== group) {
        const head = document.createElement("li");
        head.className = "combobox-group";
        head.setAttribute("role", "presentation");
        head.textContent = under;
        list.append(head);
      }
      group = under;
      const item = document.createElement("li");
      item.id = `${id}-${i}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(option.selected));
      item.textContent = name || "–";
      item.dataset.index = i;
      list.append(item);
    });
    if (!options().length) {
      const none = document.createElement("li");
      none.className = "combobox-none muted";
      none.setAttribute("role", "option");
      none.setAttribute("aria-disabled", "true");
      none.setAttribute("aria-selected", "false");
      none.textContent = words?.dataset.noMatch ?? "–";
      list.append(none);
    }
  }
  function open(text) {
    fill(text);
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(Math.max(0, options().findIndex((one) => one.getAttribute("aria-selected") === "true")));
    list.classList.remove("above");
    if (list.getBoundingClientRect().bottom > window.innerHeight) list.classList.add("above");
  }
  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    input.value = shown();
  }
  function choose(item) {
    if (!item?.dataset.index) return;
    const changed = select.selectedIndex !== Number(item.dataset.index);
    select.selectedIndex = Number(item.dataset.index);
    close();
    if (!changed) return;
    select.dataset.chosen = "1";
    for (const kind of ["input", "change"]) select.dispatchEvent(new Event(kind, { bubbles: true }));
    delete select.dataset.chosen;
  }
  input.value = shown();
  input.addEventListener("focus", () => input.select());
  input.addEventListener("click", () => { if (list.hidden) { open(""); more(""); } });
  input.addEventListener("input", (event) => {
    event.stopPropagation();
    open(input.value);
    more(input.value.trim());
  });
  input.addEventListener("change", (event) => event.stopPropagation()); // the select tells
  input.addEventListener("blur", close);
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the keyboard
  list.addEventListener("click", (event) => choose(event.target.closest("[role=option]")));
  select.addEventListener("change", () => { input.value = shown(); });
  select.form?.addEventListener("reset", () => setTimeout(() => { input.value = shown(); }));
  select.addEventListener("invalid", () => input.focus());
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const all = options();
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) open("");
      else mark((active + (event.key === "ArrowDown" ? 1 : all.length - 1)) % all.length);
    } else if (event.key === "Enter" && !list.hidden) {
      event.preventDefault();
      choose(all[active]);
    } else if (event.key === "Escape" && !list.hidden) {
      event.stopPropagation();
      event.preventDefault();
      close();
    } else if ((event.key === "Home" || event.key === "End") && !list.hidden) {
      event.preventDefault();
      mark(event.key === "Home" ? 0 : all.length - 1);
    }
  });
}
function comboboxes() {
  for (const select of document.querySelectorAll("select[data-combobox]")) combobox(select);
}
comboboxes();
document.addEventListener("htmx:afterSwap", comboboxes);

// --- a row of links that scrolls to the side starts where the reader is
for (const link of document.querySelectorAll(":is(.nav, .tabs) [aria-current]")) {
  const row = link.parentElement;
  const beyond = link.offsetLeft + link.offsetWidth - row.offsetLeft - row.clientWidth;
  if (beyond > 0) row.scrollLeft = beyond + 24;
}

// --- <form data-weights>: one slider in place of two weights, whose fields stay
for (const form of document.querySelectorAll("form[data-weights]")) {
  const slider = form.querySelector("[data-share]");
  const fields = [...form.querySelectorAll("input[type=number]")];
  if (!slider || fields.length !== 2) continue;
  const whole = Number(slider.max);
  const follow = () => {
    const [first, second] = fields.map((field) => Number(field.value));
    if (first + second > 0) slider.value = (whole * second) / (first + second);
  };
  slider.addEventListener("input", () => {
    fields[0].value = whole - Number(slider.value);
    fields[1].value = slider.value;
  });
  for (const field of fields) field.addEventListener("input", follow);
  follow();
  slider.hidden = false;
}

// --- a plan below a form says so when the form asks for something else than it was made for
const changed = document.querySelector("#plan [data-changed]");
const plannedForm = document.querySelector("form:has(button[name=plan])");
if (changed && plannedForm) {
  const asked = () => new URLSearchParams(new FormData(plannedForm)).toString();
  const planned = asked();
  const look = () => { changed.hidden = asked() === planned; };
  for (const kind of ["input", "change"]) plannedForm.addEventListener(kind, look);
}
