// The invoke page's comforts: previews, pasting, and dropping anywhere. The form works without.

const MOST_THUMBS = 24; // of many pictures: enough to see that they are the right ones
const field = () => document.querySelector("#picture-field");
let shown = []; // the object URLs of the previews

function address(file) {
  shown.push(URL.createObjectURL(file));
  return shown.at(-1);
}

function showPreviews(files) {
  const zone = field();
  shown.forEach((url) => URL.revokeObjectURL(url));
  shown = [];
  const preview = zone.querySelector("[data-preview]");
  const thumbs = zone.querySelector("[data-thumbs]");
  const input = zone.querySelector("input[type=file]");
  const size = files.reduce((sum, file) => sum + file.size, 0);
  const [file] = files;
  const several = files.length > 1;
  tellFolders(zone, files);
  zone.querySelector("[data-name]").textContent = several
    ? input.dataset.several.replace("{count}", files.length).replace("{size}", readable(size))
    : file.name || input.dataset.pasted;
  zone.querySelector(".icon")?.remove();
  const most = Number(input.dataset.maxBytes); // larger files are refused unread
  input.setCustomValidity(size > most ? input.dataset.tooLarge : "");
  thumbs.replaceChildren();
  thumbs.hidden = !several;
  preview.hidden = several || !file.type.startsWith("image/");
  if (!preview.hidden) {
    preview.src = address(file);
    preview.onerror = () => { preview.hidden = true; }; // a text file renamed .jpg
  }
  if (!several) return;
  for (const one of files.slice(0, MOST_THUMBS)) {
    const thumb = new Image(44, 44);
    thumb.className = "thumb";
    thumb.alt = one.name;
    thumb.onerror = () => thumb.remove();
    thumb.src = address(one);
    thumbs.append(thumb);
  }
}

// The folder that each file lies in, in their order: a form sends the names of files alone.
function tellFolders(zone, files) {
  const folders = files.map((file) => file.webkitRelativePath?.split("/").at(-2) ?? "");
  const told = folders.some((folder) => folder) ? folders : [];
  zone.querySelector("[data-folders]").replaceChildren(...told.map((value) =>
    Object.assign(document.createElement("input"), { type: "hidden", name: "folder", value })));
  const labels = document.querySelector("#labels");
  if (labels && !labels.value && new Set(told).size > 1) {
    labels.value = "folders";
    labels.closest("details").open = true;
  }
}

function readable(bytes) {
  const [value, unit] = bytes < 2 ** 20 ? [bytes / 2 ** 10, "KB"] : [bytes / 2 ** 20, "MB"]; // as the answer has it
  return `${value.toFixed(1)} ${unit}`;
}

function take(files) {
  const pictures = Array.from(files).filter((candidate) => candidate.type.startsWith("image/"));
  const taken = pictures.length ? pictures : Array.from(files).slice(0, 1);
  const input = field()?.querySelector("input[type=file]");
  if (!taken.length || !input) return false;
  const carrier = new DataTransfer();
  for (const file of taken) carrier.items.add(file);
  input.files = carrier.files;
  showPreviews(taken);
  return true;
}

document.addEventListener("change", (event) => {
  if (!event.target.matches("#picture-field input[type=file]") || !event.target.files.length) return;
  if (event.target.matches("[data-camera], [data-folder]")) {
    take(event.target.files);
    event.target.value = ""; // it is sent once, by the field that shows it
  } else {
    showPreviews(Array.from(event.target.files));
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
