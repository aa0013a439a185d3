// Line charts in SVG: few lines, few points, read off by pointing, with what they show in words.
"use strict";

{
  const NS = "http://www.w3.org/2000/svg";
  const EDGE = { left: 54, right: 12, top: 10, bottom: 34 };

  const make = (name, attributes, text) => {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // Round numbers that cover a range: 1, 2 or 5 times a power of ten apart.
  function ticks(least, greatest, about) {
    const raw = (greatest - least) / about || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw * 0.999);
    const found = [];
    for (let i = Math.ceil(least / step - 1e-9); i * step <= greatest + step * 1e-9; i++) found.push(i * step);
    return found;
  }

  const label = (value, step) => {
    if (value === 0) return "0";
    if (Math.abs(step) < 1e-3 || Math.abs(value) >= 1e5) return value.toExponential(1).replace(".0e", "e").replace("e-", "e−").replace("e+", "e");
    return value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9))).replace("-", "−");
  };

  // A chart that fills the width of its element. Options:
  //   series   [{name, colour, dash, points: [[x, y or null], ...]}]
  //   height, title (what it shows, for those who do not see it), unit, marked (an x)
  //   point({series, x, y} or null) when a point is pointed at; pick(the same) when it is clicked
  atlas.chart = function (options) {
    const root = atlas.element("div", { class: "chart" });
    const reading = atlas.element("p", { class: "reading", "aria-hidden": "true" });
    let now = options;
    let svg, x, y, hovered;

    function draw() {
      const width = root.clientWidth;
      if (!width) return;
      const { series, height = 190, title, unit, marked } = now;
      const points = series.flatMap((one) => one.points).filter(([, value]) => value !== null);
      svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": words() });
      svg.append(make("title", {}, title));
      if (!points.length) {
        svg.append(make("text", { x: width / 2, y: height / 2, "text-anchor": "middle", class: "axis" }, "no values"));
        return root.replaceChildren(svg);
      }
      const xs = points.map(([at]) => at);
      const ys = points.map(([, value]) => value);
      let [low, high] = [Math.min(...ys), Math.max(...ys)];
      if (low > 0 && low < 0.4 * high) low = 0; // near enough to show how far it is
      if (low === high) [low, high] = [low - Math.abs(low || 1) / 2, high + Math.abs(high || 1) / 2];
      const [first, last] = [Math.min(...xs), Math.max(...xs) === Math.min(...xs) ? Math.min(...xs) + 1 : Math.max(...xs)];
      x = (value) => EDGE.left + ((value - first) / (last - first)) * (width - EDGE.left - EDGE.right);
      y = (value) => height - EDGE.bottom - ((value - low) / (high - low)) * (height - EDGE.top - EDGE.bottom);
      const yTicks = ticks(low, high, 4);
      for (const value of yTicks) {
        svg.append(make("line", { x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value), class: "rule" }));
        svg.append(make("text", { x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end", class: "axis" }, label(value, yTicks[1] - yTicks[0] || 1)));
      }
      for (const value of ticks(first, last, Math.min(6, last - first)).filter(Number.isInteger))
        svg.append(make("text", { x: x(value), y: height - EDGE.bottom + 16, "text-anchor": "middle", class: "axis" }, value));
      svg.append(make("text", { x: width - EDGE.right, y: height - 4, "text-anchor": "end", class: "axis" }, "epoch"));
      if (unit) svg.append(make("text", { x: 2, y: height - 4, class: "axis" }, unit));
      if (marked !== undefined && marked !== null)
        svg.append(make("line", { x1: x(marked), x2: x(marked), y1: EDGE.top, y2: height - EDGE.bottom, class: "marked" }));
      for (const one of series) {
        const there = one.points.filter(([, value]) => value !== null);
        const path = there.map(([at, value], i) => `${i ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
        svg.append(make("path", { d: path, fill: "none", stroke: one.colour, "stroke-width": 1.8, "stroke-dasharray": one.dash, "stroke-linejoin": "round" }));
        if (there.length <= 24)
          for (const [at, value] of there) svg.append(make("circle", { cx: x(at), cy: y(value), r: 2.4, fill: one.colour }));
      }
      hovered = make("circle", { r: 5, fill: "none", "stroke-width": 2, visibility: "hidden" });
      svg.append(hovered);
      svg.addEventListener("pointermove", (event) => mark(nearest(event)));
      svg.addEventListener("pointerleave", () => mark(null));
      svg.addEventListener("click", (event) => {
        const found = nearest(event);
        if (found) now.pick?.(found);
      });
      root.replaceChildren(svg, reading);
    }

    function words() {
      const lines = now.series.map((one) => {
        const there = one.points.filter(([, value]) => value !== null);
        if (!there.length) return `${one.name}: no values`;
        const [[from, begin], [to, end]] = [there[0], there.at(-1)];
        return `${one.name}: ${atlas.number(begin)} at epoch ${from}, ${atlas.number(end)} at epoch ${to}`;
      });
      return `${now.title}. ${lines.join("; ")}.`;
    }

    // The point nearest to the pointer, among those of all lines.
    function nearest(event) {
      const box = svg.getBoundingClientRect();
      let best = null;
      let least = Infinity;
      for (const series of now.series)
        for (const [at, value] of series.points) {
          if (value === null) continue;
          const away = Math.hypot(x(at) - (event.clientX - box.left), y(value) - (event.clientY - box.top));
          if (away < least) [least, best] = [away, { series, x: at, y: value }];
        }
      return best;
    }

    function mark(found) {
      hovered.setAttribute("visibility", found ? "visible" : "hidden");
      if (found) {
        hovered.setAttribute("cx", x(found.x));
        hovered.setAttribute("cy", y(found.y));
        hovered.setAttribute("stroke", found.series.colour);
      }
      reading.textContent = found ? `${found.series.name}, epoch ${found.x}: ${atlas.number(found.y, 4)}` : "";
      now.point?.(found);
    }

    new ResizeObserver(draw).observe(root);
    root.update = (changes) => {
      now = { ...now, ...changes };
      draw();
    };
    return root;
  };

  // Lines of the same network look alike: the colour of the condition; runs differ by their dashes.
  const DASHES = [null, "6 3", "2 3", "8 3 2 3"];
  atlas.dash = (condition, run) => {
    const cube = atlas.study.cube(condition);
    return DASHES[Math.max(0, cube ? cube.run.indexOf(run) : 0) % DASHES.length];
  };
}
