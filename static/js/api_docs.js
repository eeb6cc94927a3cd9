// Starts Swagger UI (of django-ninja's package) on the API's document, /docs/api/.

const place = document.getElementById("api-docs");

window.SwaggerUIBundle({
  url: place.dataset.document,
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

// Swagger UI has colours for the dark, by a class; the system says which are wanted.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const show = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", show);
show();
