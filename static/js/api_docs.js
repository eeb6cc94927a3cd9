// The reference of the API: unfolds all at once, and leads from the addresses that operations had when
// Swagger UI was at /docs/api/ to where they are. Both pages say all that they have without it.
const folds = [...document.querySelectorAll("details.operation")];
const button = document.querySelector("[data-unfold]");
if (button) {
  const words = { open: button.textContent, close: button.dataset.unfold };
  const all = () => folds.every((fold) => fold.open);
  const show = () => { button.textContent = all() ? words.close : words.open; };
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = !all();
    for (const fold of folds) fold.open = open;
  });
  for (const fold of folds) fold.addEventListener("toggle", show);
}

function follow() {
  const target = document.getElementById(location.hash.slice(1));
  if (!target) return;
  if (location.hash.startsWith("#/") && target.matches("li")) { // "#/models/models_list"
    location.replace(target.querySelector("a").href);
    return;
  }
  const fold = target.closest("details");
  if (!fold || fold.open) return; // most browsers open it themselves
  fold.open = true;
  target.scrollIntoView();
}
window.addEventListener("hashchange", follow);
follow();
