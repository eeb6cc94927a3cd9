// The invoke page's comforts: a preview, pasting, and dropping anywhere. The form works without.

const field = () => document.querySelector("#picture-field");
let shown = null; // the object URL of the preview

function showPreview(file) {
  const zone = field();
  if (shown) URL.revokeObjectURL(shown);
  shown = null;
  const preview = zone.querySelector("[data-preview]");
  const input = zone.querySelector("input[type=file]");
  zone.querySelector("[data-name]").textContent = file.name || input.dataset.pasted;
  zone.querySelector(".icon")?.remove();
  const most = Number(input.dataset.maxBytes); // larger files are refused unread
  input.setCustomValidity(file.size > most ? input.dataset.tooLarge : "");
  if (file.type.startsWith("image/")) {
    shown = URL.createObjectURL(file);
    preview.src = shown;
    preview.hidden = false;
    preview.onerror = () => { preview.hidden = true; }; // a text file renamed .jpg
  } else {
    preview.hidden = true;
  }
}

function take(files) {
  const file = Array.from(files).find((candidate) => candidate.type.startsWith("image/")) ?? files[0];
  const input = field()?.querySelector("input[type=file]");
  if (!file || !input) return false;
  const carrier = new DataTransfer();
  carrier.items.add(file);
  input.files = carrier.files;
  showPreview(file);
  return true;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("#picture-field input[type=file]") && event.target.files.length) {
    showPreview(event.target.files[0]);
  }
});

document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length && take(event.clipboardData.files)) event.preventDefault();
});

// Dropping beside the zone must not make the browser leave the page.
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    field()?.querySelector(".dropzone").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) field()?.querySelector(".dropzone").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer?.files.length) return;
  field()?.querySelector(".dropzone").classList.remove("over");
  if (take(event.dataTransfer.files)) event.preventDefault();
});

// Samples that were made for another model step back; they can still be clicked.
function matchSamples() {
  const model = document.querySelector("#version")?.selectedOptions[0]?.parentElement.label ?? "";
  const groups = [...document.querySelectorAll(".samples [data-group]")];
  const fits = (group) => model.startsWith(group.dataset.group);
  const any = groups.some(fits);
  for (const group of groups) group.classList.toggle("other", any && !fits(group));
}
document.addEventListener("change", (event) => { if (event.target.id === "version") matchSamples(); });
matchSamples();

// On a narrow screen the answer is below the form: bring it into view when it was asked for.
document.addEventListener("htmx:afterSwap", (event) => {
  const verb = event.detail.requestConfig?.verb;
  if (verb !== "post") return;
  const answer = document.querySelector("#answer");
  const box = answer?.getBoundingClientRect();
  if (box && (box.top < 0 || box.top > window.innerHeight * 0.6)) {
    answer.scrollIntoView({ behavior: "smooth", block: "start" });
  }
});

// A picture of a few pixels, such as a digit, is shown with its pixels instead of blurred.
function showPixels() {
  for (const picture of document.querySelectorAll("[data-picture]")) {
    const mark = () => picture.classList.toggle("pixels", picture.naturalWidth < 100);
    if (picture.complete) mark();
    else picture.addEventListener("load", mark, { once: true });
  }
}
document.addEventListener("htmx:afterSwap", showPixels);
showPixels();
