// Draws one form an endpoint from /openapi.json and sends what is written in it. All text is set as text.
"use strict";

const $ = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const resolve = (api, schema) =>
  schema && schema.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema || {};

const typeOf = (schema) => {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.join(" | ");
  return schema.type || "any";
};

const descriptionOf = (schema) =>
  schema.description || (schema.anyOf || []).map((kind) => kind.description).find(Boolean) || "";

function sample(schema) {
  const body = {};
  for (const name of schema.required || []) {
    const property = schema.properties[name];
    body[name] = property.examples ? property.examples[0] : "";
  }
  return JSON.stringify(body, null, 2);
}

function fieldTable(schema) {
  const rows = Object.entries(schema.properties || {}).map(([name, property]) =>
    $("tr", {},
      $("td", {}, $("code", { textContent: name + ((schema.required || []).includes(name) ? "" : "?") })),
      $("td", { textContent: typeOf(property) }),
      $("td", { textContent: descriptionOf(property) })));
  return $("table", {}, $("thead", {}, $("tr", {}, ...["Field", "Type", "Meaning"].map((title) =>
    $("th", { scope: "col", textContent: title })))), $("tbody", {}, ...rows));
}

function endpoint(api, path, method, operation) {
  const form = $("form");
  const inputs = [];
  for (const parameter of operation.parameters) {
    const input = $("input", { name: parameter.name, required: parameter.required, autocomplete: "off" });
    inputs.push([parameter, input]);
    form.append($("label", {}, `${parameter.name} (${parameter.in}) ${parameter.description || ""}`, input));
  }
  let body = null;
  if (operation.requestBody) {
    const schema = resolve(api, operation.requestBody.content["application/json"].schema);
    body = $("textarea", { value: sample(schema), spellcheck: false });
    form.append($("label", {}, "body", body), fieldTable(schema));
  }
  const output = $("pre", { hidden: true, tabIndex: 0 });
  output.setAttribute("role", "status");
  form.append($("p", { textContent: operation.description }), $("button", { textContent: "Send" }), output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    output.hidden = false;
    output.textContent = "…";
    output.textContent = await send(path, method, inputs, body).catch((error) => `Not sent: ${error.message}`);
  });
  return $("details", {}, $("summary", {}, $("b", { textContent: method.toUpperCase() }), ` ${path}`,
    $("span", { textContent: operation.summary })), form);
}

async function send(path, method, inputs, body) {
  const headers = { authorization: `Bearer ${document.getElementById("key").value.trim()}` };
  const query = new URLSearchParams();
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value && parameter.in === "query") query.set(parameter.name, input.value);
    else if (input.value && parameter.in === "header") headers[parameter.name] = input.value;
  }
  if (body) headers["content-type"] = "application/json";
  const address = query.size ? `${path}?${query}` : path;
  const began = performance.now();
  const answer = await fetch(address, { method: method.toUpperCase(), headers, body: body ? body.value : undefined });
  const text = await answer.text();
  const took = Math.round(performance.now() - began);
  return `${answer.status} ${answer.statusText} in ${took} ms\n\n${pretty(text)}`;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

fetch("/openapi.json").then((answer) => answer.json()).then((api) => {
  const all = Object.entries(api.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => endpoint(api, path, method, operation)));
  document.getElementById("endpoints").replaceChildren(...all);
});
