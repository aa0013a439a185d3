// Start: read the study, show the view that the address names, and pass on keys.
"use strict";

{
  const main = document.getElementById("main");
  const LETTERS = { g: "grid", m: "map", c: "curves", f: "findings", a: "about" };
  let current = null; // what the address said last
  let turn = 0;

  async function show() {
    const mine = ++turn;
    document.documentElement.dataset.turn = mine;
    atlas.address.drop();
    const asked = atlas.address.read(location.hash);
    atlas.hush();
    const view = atlas.views[asked.view];
    if (current && current.view !== asked.view) atlas.views[current.view].close?.();
    let problem = null;
    if (!view) problem = `There is no view called ${asked.asked} here.`;
    else {
      try {
        problem = await view.open(main, asked);
      } catch (error) {
        problem = `${error.message}.`.replace(/\.\.$/, ".");
      }
    }
    if (mine !== turn) return;
    if (problem) {
      main.replaceChildren(atlas.element("div", { class: "text" }, atlas.element("h1", {}, "Not here"), atlas.element("p", { class: "note failed", role: "alert" }, problem), atlas.element("p", {}, atlas.element("a", { href: "#/grid" }, "To the grid"))));
    }
    current = problem ? null : asked;
    document.title = `${problem ? "Not here" : view.title()} – ${atlas.study.title || "atlas"}`;
    for (const link of document.querySelectorAll("nav a")) {
      if (link.dataset.view === asked.view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.documentElement.dataset.ready = mine;
  }

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.getElementById("find").open) return;
    const target = event.target;
    const typing = target.matches?.("select, textarea, input:not([type=range]):not([type=checkbox])");
    if (typing) return;
    if (event.key === "/") {
      atlas.find.open();
      event.preventDefault();
    } else if (target.matches?.("input[type=range]") && event.key.startsWith("Arrow") && !event.shiftKey) return;
    else if (LETTERS[event.key] && !event.shiftKey) location.hash = `#/${LETTERS[event.key]}`;
    else if (current && atlas.views[current.view].key(event)) event.preventDefault();
  });

  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  // A link leaves from where we really are.
  addEventListener("click", () => atlas.address.settle(), { capture: true });
  addEventListener("hashchange", () => show());

  (async function start() {
    atlas.find.prepare(() => (current?.view === "grid" || current?.view === "unit" ? atlas.address.read(location.hash) : {}));
    try {
      await atlas.study.open();
    } catch (error) {
      main.replaceChildren(atlas.element("p", { class: "note failed", role: "alert" }, `${error.message}: without it there is nothing to show. Build the atlas again (make atlas), or pull it (dvc pull data/atlas).`));
      return;
    }
    atlas.webp().then((works) => {
      if (!works) atlas.say("This browser does not show WebP images, which the sheets are. Curves, numbers and findings work; for the pictures use a newer browser.", true);
    });
    document.querySelector("header .name").title = atlas.study.title;
    await show();
  })();
}
