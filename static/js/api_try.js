// Loads Swagger UI (of django-ninja's package) at the press of a button, and starts it on the API's
// document, /docs/api/try/.

const place = document.getElementById("api-docs");

function start() {
  window.SwaggerUIBundle({
    url: place.dataset.document,
    dom_id: "#api-docs",
    deepLinking: true,
    docExpansion: "list",
    validatorUrl: null, // nothing of a portal is sent elsewhere
    defaultModelsExpandDepth: 0,
    onComplete: () => {
      // Swagger UI opens what "#/models/models_list" names, and scrolls its own box, which is not the
      // one that scrolls here.
      const [, tag, operation] = window.location.hash.split("/");
      document.getElementById(`operations-${tag}-${operation}`)?.scrollIntoView();
    },
    requestInterceptor: (request) => {
      // Without a token it is the session that calls; what changes something needs this, too.
      if (!request.headers.Authorization) { request.headers["X-CSRFToken"] = place.dataset.csrf; }
      return request;
    },
  });
}

const offer = document.getElementById("swagger-ui");
const button = offer.querySelector("button");
const failed = offer.querySelector("[role=alert]");
const arrival = (part) => new Promise((done, lost) => {
  part.addEventListener("load", done);
  part.addEventListener("error", lost);
});

button.addEventListener("click", async () => {
  button.disabled = true;
  failed.hidden = true;
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: button.dataset.style });
  const script = Object.assign(document.createElement("script"), { src: button.dataset.script });
  const both = Promise.all([style, script].map(arrival));
  document.getElementById("style-of-try").before(style); // ours changes some of it
  document.head.append(script);
  try {
    await both;
  } catch {
    style.remove();
    script.remove();
    failed.hidden = false;
    button.disabled = false;
    return;
  }
  offer.remove();
  start();
});
offer.hidden = false;

// Swagger UI has its words in English alone; the page has them in the reader's language. What the
// document and answers say stays as it is.
const words = JSON.parse(place.dataset.words);
const labels = ["aria-label", "title"];

function translated(text) {
  const word = text.trim();
  const [, before, unit] = /^(\D*\d\S*) ([a-z]+)$/.exec(word) || [];
  const told = words[word] || words[`{} ${unit}`]?.replace("{}", () => before);
  return told ? text.replace(word, () => told) : text;
}

function translate(node) {
  if (node instanceof Text) {
    if (node.parentElement?.closest("pre, code, textarea")) { return; }
    const told = translated(node.data);
    if (told !== node.data) { node.data = told; }
    return;
  }
  for (const label of labels) {
    const said = node.getAttribute?.(label);
    if (said && words[said]) { node.setAttribute(label, words[said]); }
  }
  node.childNodes.forEach(translate);
}

if (Object.keys(words).length) {
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "childList") { addedNodes.forEach(translate); } else { translate(target); }
    }
  }).observe(place, {
    subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: labels,
  });
}

// Swagger UI has colours for the dark, by a class; the system says which are wanted.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const show = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", show);
show();
