// Draws the reference from openapi.json. Texts are only ever set as text, never as markup.

const METHODS = ["get", "post", "put", "delete"];
const place = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Text with `code` between backticks. */
function prose(text, tag = "span") {
  const parts = (text ?? "").split("`");
  return make(tag, {}, ...parts.map((part, index) => (index % 2 ? make("code", { textContent: part }) : part)));
}

/** Paragraphs, with **bold** openings left as plain text. */
function paragraphs(text) {
  return text.split(/\n\n+/).map((paragraph) => prose(paragraph.replaceAll("**", ""), "p"));
}

class Reference {
  constructor(api) {
    this.api = api;
  }

  /** What a `$ref` names. */
  resolve(node) {
    while (node?.$ref) {
      node = node.$ref.slice(2).split("/").reduce((at, key) => at[key], this.api);
    }
    return node;
  }

  /** The operations by name, each with the places it is called at. */
  operations() {
    const found = new Map();
    const base = this.api.servers[0].url;
    for (const [path, item] of Object.entries(this.api.paths)) {
      for (const method of METHODS.filter((method) => item[method])) {
        const entry = item[method];
        const members = entry["x-gantry-operations"];
        for (const facts of members.length ? members : [{ name: entry.operationId, description: entry.summary }]) {
          const operation = found.get(facts.name) ?? { ...facts, entry, calls: [], tag: this.tag(facts, entry) };
          operation.calls.push({ method, path: base + path });
          operation.planned = facts["x-gantry-status"] === "planned";
          found.set(facts.name, operation);
        }
      }
    }
    return [...found.values()];
  }

  /** The chapter of the operation: the one whose number its section begins with. */
  tag(facts, entry) {
    const chapters = this.api.tags.filter((tag) => facts.section?.startsWith(`${tag["x-gantry-chapter"]}.`));
    const longest = chapters.sort((a, b) => b["x-gantry-chapter"].length - a["x-gantry-chapter"].length)[0];
    return longest?.name ?? entry.tags[0];
  }

  /** The body's schema for one operation, of those that share the entry. */
  body({ entry, name }) {
    const schema = entry.requestBody?.content["application/json"].schema;
    return schema?.oneOf?.find((one) => one.title === name) ?? (schema?.oneOf ? undefined : schema);
  }

  /** The schema of what the operation comes to. */
  result(operation) {
    return operation["x-gantry-result"] ?? operation.entry.responses["200"]?.content?.["application/json"].schema;
  }

  /** A schema's type in a few words. */
  type(schema) {
    if (schema.$ref === "#/components/schemas/Uuid") return "uuid";
    if (schema.$ref === "#/components/schemas/Date") return "date";
    const plain = this.resolve(schema);
    if (Array.isArray(plain.type)) return plain.type.map((type) => this.type({ type })).join(" or ");
    if (plain.type === "array") return `list of ${this.type(plain.items)}`;
    if (plain.type === "object" && typeof plain.additionalProperties === "object") {
      return `map to ${this.type(plain.additionalProperties)}`;
    }
    if (plain.type === "object" && schema.$ref) return schema.$ref.split("/").pop();
    return { string: "text", integer: "whole number", boolean: "true or false", object: "object" }[plain.type] ?? plain.type ?? "anything";
  }

  /** What a value may be, in words. */
  limits(schema) {
    const plain = this.resolve(schema);
    const limits = [];
    const values = plain.enum ?? plain.items?.enum;
    if (values) limits.push(`one of ${values.join(", ")}`);
    if (plain.maxLength) limits.push(`at most ${plain.maxLength} characters`);
    if (plain.minLength || plain.minItems) limits.push("not empty");
    if (plain.minimum !== undefined) {
      const bounded = plain.maximum !== undefined && plain.maximum < Number.MAX_SAFE_INTEGER;
      limits.push(bounded ? `${plain.minimum} to ${plain.maximum}` : `from ${plain.minimum}`);
    }
    if (plain.default !== undefined) limits.push(`default ${plain.default}`);
    return limits.join("; ");
  }
}

function row(name, required, type, limits, description) {
  const heading = make("th", { scope: "row", className: required ? "required" : "" }, make("code", { textContent: name }));
  const what = make("td", {}, prose(description));
  if (limits) what.append(description ? " " : "", make("span", { className: "quiet", textContent: `(${limits})` }));
  return make("tr", {}, heading, make("td", { textContent: type }), make("td", { textContent: required ? "required" : "" }), what);
}

function table(caption, rows) {
  if (!rows.length) return null;
  const head = make("tr", {}, ...["name", "type", "", "meaning"].map((text) => make("th", { scope: "col", textContent: text })));
  return make("div", {}, make("h3", { textContent: caption }),
    make("div", { className: "table" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))));
}

/** An answer's fields, objects in it unfolding on demand. */
function fields(reference, schema) {
  const plain = reference.resolve(schema);
  const items = Object.entries(plain.properties ?? {}).map(([name, value]) => {
    let inner = reference.resolve(value);
    if (inner.type === "array") inner = reference.resolve(inner.items);
    else if (typeof inner.additionalProperties === "object") inner = reference.resolve(inner.additionalProperties);
    const line = [make("code", { textContent: name }), ` ${reference.type(value)} `, prose(value.description)];
    if (!inner.properties) return make("div", {}, ...line);
    const unfolding = make("details", { className: "fields" }, make("summary", {}, ...line));
    unfolding.addEventListener("toggle", () => unfolding.append(fields(reference, inner)), { once: true });
    return unfolding;
  });
  return make("div", {}, ...(items.length ? items : [make("span", { className: "quiet", textContent: "nothing: {}" })]));
}

function example(reference, operation, body) {
  const { method, path } = operation.calls[0];
  const session = operation.entry.security?.length === 0 ? "" : ' -H "Authorization: OAuth $session"';
  let data = "";
  if (body) {
    const [key] = body.required;
    const parameters = reference.resolve(body.properties[key]);
    const value = (schema) => {
      const plain = reference.resolve(schema);
      return plain.enum?.[0] ?? plain.examples?.[0] ?? plain.minimum ??
        ({ integer: 1, number: 1, boolean: true, array: plain.items ? [value(plain.items)] : [], object: {} }[plain.type] ?? "...");
    };
    const filled = (parameters.required ?? []).map((name) => [name, value(parameters.properties[name])]);
    data = ` \\\n  -d '${JSON.stringify({ [key]: Object.fromEntries(filled) })}'`;
  }
  return `curl -X ${method.toUpperCase()}${session} "${location.origin}${path}"${data}`;
}

/** Everything about one operation, drawn when it is opened. */
function body(reference, operation) {
  const { entry } = operation;
  const parameters = (entry.parameters ?? []).map((parameter) => reference.resolve(parameter));
  const schemaOf = (parameter) => parameter.schema ?? parameter.content["application/json"].schema;
  const rows = (where) => parameters.filter((parameter) => parameter.in === where).map((parameter) =>
    row(parameter.name, parameter.required, reference.type(schemaOf(parameter)), reference.limits(schemaOf(parameter)), parameter.description));
  const wrapper = reference.body(operation);
  const wrapped = wrapper ? reference.resolve(wrapper.properties[wrapper.required[0]]) : {};
  const inBody = Object.entries(wrapped.properties ?? {}).map(([name, schema]) =>
    row(name, wrapped.required?.includes(name), reference.type(schema), reference.limits(schema), schema.description));
  const beside = wrapper ? Object.keys(wrapper.properties).slice(1) : [];
  const keys = (operation.bodyKeys ?? [operation.bodyKey]).filter(Boolean).join(" or ");
  const calls = operation.calls.map(({ method, path }) =>
    make("div", {}, make("span", { className: `method ${method}`, textContent: method.toUpperCase() }), " ", make("code", { textContent: path })));
  const job = operation["x-gantry-result"];
  return make("div", {},
    ...paragraphs(operation.description ?? ""),
    operation.planned ? make("p", { className: "quiet", textContent: "Not carried out by this version: a call is checked, then refused with 503 SYS.1014." }) : null,
    ...calls,
    table("In the path", rows("path")),
    table("In the query string", rows("query")),
    table(`In the body, under ${keys}`, inBody),
    beside.length ? make("p", { className: "quiet", textContent: `Beside it: ${beside.join(", ")}` }) : null,
    table("Headers", rows("header")),
    make("h3", { textContent: job ? "Answers 202 with a job's location; its result" : "Answers" }),
    fields(reference, reference.result(operation)),
    make("h3", { textContent: "Example" }),
    make("pre", { textContent: example(reference, operation, wrapper) }),
    operation.section ? make("p", { className: "quiet", textContent: `Section ${operation.section} of the published reference` }) : null);
}

function card(reference, operation) {
  const { method, path } = operation.calls[0];
  const summary = make("summary", {},
    make("span", { className: `method ${method}`, textContent: method.toUpperCase() }),
    make("span", { className: "name", textContent: operation.name }),
    operation.planned ? make("span", { className: "badge", textContent: "planned" }) : null,
    make("code", { className: "quiet", textContent: path }));
  const node = make("details", { id: operation.name, className: `operation${operation.planned ? " planned" : ""}` }, summary);
  node.addEventListener("toggle", () => node.append(body(reference, operation)), { once: true });
  const names = [...(operation.entry.parameters ?? []).map((parameter) => reference.resolve(parameter).name)];
  const wrapper = reference.body(operation);
  if (wrapper) names.push(...Object.keys(reference.resolve(wrapper.properties[wrapper.required[0]]).properties ?? {}));
  const words = [operation.name, operation.description, operation.bodyKey, operation.section, ...names,
    ...operation.calls.map((call) => `${call.method} ${call.path}`)].join(" ").toLowerCase();
  return { node, words, planned: operation.planned };
}

function draw(api) {
  const reference = new Reference(api);
  place("version").textContent = api.info.version;
  place("about").append(...paragraphs(api.info.description), make("p", {}, make("a", { href: "openapi.json", textContent: "openapi.json" })));
  const operations = reference.operations();
  const chapters = api.tags.map((tag) => {
    const cards = operations.filter((operation) => operation.tag === tag.name).map((operation) => card(reference, operation));
    const number = tag["x-gantry-chapter"];
    const id = `chapter-${number ?? tag.name}`;
    const title = [number, tag.name].filter(Boolean).join(" ");
    const section = make("section", {}, make("h2", { id, textContent: title }), ...cards.map(({ node }) => node));
    const count = make("span", { className: "quiet" });
    const link = make("li", {}, make("a", { href: `#${id}` }, title, count));
    place("operations").append(section);
    place("chapters").append(link);
    return { section, link, cards, count };
  });

  function search() {
    const words = place("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { section, link, cards, count } of chapters) {
      let here = 0;
      for (const { node, words: text, planned } of cards) {
        const shown = !(planned && place("served").checked) && words.every((word) => text.includes(word));
        node.hidden = !shown;
        here += shown;
      }
      section.hidden = link.hidden = here === 0;
      count.textContent = here;
      found += here;
    }
    place("about").hidden = words.length > 0;
    place("found").textContent = `${found} operations`;
  }

  function open() {
    const node = place(decodeURIComponent(location.hash.slice(1)));
    if (node?.localName === "details") node.open = true;
    node?.scrollIntoView();
  }

  place("words").addEventListener("input", search);
  place("served").addEventListener("change", search);
  place("search").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", open);
  search();
  open();
}

try {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`the node answered ${answer.status}`);
  draw(await answer.json());
} catch (error) {
  place("about").append(make("p", { role: "alert", textContent: `openapi.json could not be read: ${error.message}` }));
}
