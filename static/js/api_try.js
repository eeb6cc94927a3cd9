// Loads Swagger UI (of django-ninja's package) at the press of a button, and starts it on the API's
// document, /docs/api/try/.

const place = document.getElementById("api-docs");

const choice = document.getElementById("group");
let whole; // the document of all operations
let shown; // Swagger UI, once it is there

// The operations of a group, with the schemas that they name. For each operation that is opened,
// Swagger UI goes through all of its document: with all operations that takes it seconds.
function of(group) {
  if (!group) { return whole; }
  const { schemas, ...others } = whole.components;
  const paths = {};
  for (const [path, methods] of Object.entries(whole.paths)) {
    const own = Object.entries(methods).filter(([, operation]) => operation.tags.includes(group));
    if (own.length) { paths[path] = Object.fromEntries(own); }
  }
  const named = {};
  const name = (part) => {
    for (const [, schema] of JSON.stringify(part).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (!(schema in named)) {
        named[schema] = schemas[schema];
        name(schemas[schema]);
      }
    }
  };
  name([paths, others]);
  const tags = whole.tags?.filter((tag) => tag.name === group);
  return { ...whole, tags, paths, components: { ...others, schemas: named } };
}

// A link to an operation, "#/models/models_list", is to its group.
function follow() {
  const [, group] = window.location.hash.split("/");
  if ([...choice.options].some((option) => option.value === group)) { choice.value = group; }
}

function start() {
  shown = window.SwaggerUIBundle({
    spec: of(choice.value),
    dom_id: "#api-docs",
    deepLinking: true,
    docExpansion: "list",
    validatorUrl: null, // nothing of a portal is sent elsewhere
    defaultModelsExpandDepth: 0,
    requestInterceptor: (request) => {
      // Without a token it is the session that calls; what changes something needs this, too.
      if (!request.headers.Authorization) { request.headers["X-CSRFToken"] = place.dataset.csrf; }
      return request;
    },
  });
  // Swagger UI opens what "#/models/models_list" names, and scrolls its own box, which is not the
  // one that scrolls here.
  const [, tag, operation] = window.location.hash.split("/");
  if (!operation) { return; }
  const named = `operations-${tag}-${operation}`;
  new MutationObserver((_, observer) => {
    const there = document.getElementById(named)?.querySelector(".opblock-body");
    if (!there) { return; }
    observer.disconnect();
    document.getElementById(named).scrollIntoView();
  }).observe(place, { subtree: true, childList: true });
}

choice.addEventListener("change", () => {
  // What the address named is of another group.
  window.history.replaceState(null, "", window.location.pathname);
  shown?.specActions.updateSpec(JSON.stringify(of(choice.value)));
});

const offer = document.getElementById("swagger-ui");
const button = offer.querySelector("button");
const failed = offer.querySelector("[role=alert]");
const arrival = (part) => new Promise((done, lost) => {
  part.addEventListener("load", done);
  part.addEventListener("error", lost);
});

async function documentOfAll() {
  const answer = await fetch(place.dataset.document);
  if (!answer.ok) { throw new Error(`The document: ${answer.status}`); }
  return answer.json();
}

button.addEventListener("click", async () => {
  button.disabled = true;
  failed.hidden = true;
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: button.dataset.style });
  const script = Object.assign(document.createElement("script"), { src: button.dataset.script });
  const all = Promise.all([documentOfAll(), ...[style, script].map(arrival)]);
  document.getElementById("style-of-try").before(style); // ours changes some of it
  document.head.append(script);
  try {
    [whole] = await all;
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
follow();
offer.hidden = false;
choice.closest("form").hidden = false;

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
