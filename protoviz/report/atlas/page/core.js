// Small tools that every view uses: elements, numbers, messages, and data that arrive as scripts.
"use strict";

const atlas = { views: {} };

// An element with attributes and children. `on` holds listeners; null children are left out.
atlas.element = function (name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (value === true) made.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
};

// A labelled drop-down list. Options are values, or pairs of value and text.
atlas.choice = function (label, options, chosen, change, title = null) {
  const select = atlas.element("select", { "aria-label": title || label });
  select.fill = (list, now) => {
    select.replaceChildren(
      ...list.map((option) => {
        const [value, text] = Array.isArray(option) ? option : [option, option];
        return atlas.element("option", { value, selected: String(value) === String(now) }, String(text));
      }),
    );
    select.value = String(now);
  };
  select.fill(options, chosen);
  select.addEventListener("change", () => change(select.value));
  const whole = atlas.element("label", { class: "choice" }, atlas.element("span", {}, label), select);
  whole.select = select;
  return whole;
};

atlas.checkbox = function (label, chosen, change) {
  const box = atlas.element("input", { type: "checkbox" });
  box.checked = chosen;
  box.addEventListener("change", () => change(box.checked));
  const whole = atlas.element("label", { class: "check" }, box, ` ${label}`);
  whole.box = box;
  return whole;
};

atlas.number = function (value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e5 ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
};

atlas.count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

atlas.bytes = (number) =>
  number >= 1e9 ? `${(number / 1e9).toFixed(1)} GB` : number >= 1e6 ? `${(number / 1e6).toFixed(1)} MB` : `${Math.ceil(number / 1e3)} kB`;

// A message on top of the page. Each is said once; it goes when its reader closes it or leaves the view.
atlas.say = function (text, lasting = false) {
  const place = document.getElementById("messages");
  if ([...place.children].some((one) => one.dataset.text === text)) return;
  const close = atlas.element("button", { type: "button", "aria-label": "Close the message", on: { click: () => note.remove() } }, "×");
  const note = atlas.element("div", { class: "message" }, atlas.element("span", {}, text), close);
  note.dataset.text = text;
  if (lasting) note.dataset.lasting = "";
  place.append(note);
};

atlas.hush = function () {
  for (const note of [...document.getElementById("messages").children]) if (!("lasting" in note.dataset)) note.remove();
};

// Call at most once a frame, with the latest arguments.
atlas.frame = function (work) {
  let waiting = null;
  return (...latest) => {
    const idle = waiting === null;
    waiting = latest;
    if (idle)
      requestAnimationFrame(() => {
        const now = waiting;
        waiting = null;
        work(...now);
      });
  };
};

// Data are scripts that call `atlas.deliver(name, value)`: scripts load from a folder, too, where pages may
// not read files. The least recently used of what is not kept for good goes first.
{
  const KEPT = 8;
  const delivered = new Map();
  const asked = new Map();

  atlas.deliver = (name, value) => delivered.set(name, value);

  atlas.load = function (name) {
    if (asked.has(name)) {
      const found = asked.get(name);
      asked.delete(name);
      asked.set(name, found);
      return found;
    }
    const path = `data/${name}.js`;
    const arrives = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      const settle = () => {
        script.remove();
        if (delivered.has(name)) resolve(delivered.get(name));
        else reject(new Error(`${path} is missing or damaged`));
        delivered.delete(name);
      };
      script.onload = script.onerror = settle;
      script.src = path.split("/").map(encodeURIComponent).join("/");
      document.head.append(script);
    });
    asked.set(name, arrives);
    arrives.catch(() => asked.delete(name));
    for (const old of asked.keys()) {
      if (asked.size <= KEPT) break;
      if (old.startsWith("units/")) asked.delete(old);
    }
    return arrives;
  };
}
