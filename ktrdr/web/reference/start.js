// Where Swagger is not installed the page keeps the link to the document that Swagger would show.

globalThis.SwaggerUIBundle?.({ url: "openapi.json", dom_id: "#reference", deepLinking: true, validatorUrl: null });
