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
    if (Math.abs(step) < 1e-4 || Math.abs(value) >= 1e5) return value.toExponential(1).replace(".0e", "e").replace("e-", "e−").replace("e+", "e");
    return value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9))).replace("-", "−");
  };

  // A chart that fills the width of its element. Options:
  //   series   [{name, colour, dash, points: [[x, y or null], ...]}]
  //   height, title (what it shows, for those who do not see it), unit, marked (an x)
  //   named    a Map of all of x to their names, where not all stand under the axis
  //   moment   what x is, "epoch" if nothing is said; names: a Map of x to its name, where x is not a number
  //   point({series, x, y} or null) when a point is pointed at; pick(the same) when it is clicked
  atlas.chart = function (options) {
    const root = atlas.element("div", { class: "chart" });
    const reading = atlas.element("p", { class: "reading", role: "status" });
    let now = options;
    let svg, x, y, hovered;
    let here = null; // the point that is pointed at

    function draw() {
      const width = root.clientWidth;
      if (!width) return;
      const before = here;
      const { series, height = 190, title, unit, marked, moment = "epoch", names } = now;
      const points = series.flatMap((one) => one.points).filter(([, value]) => value !== null);
      svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: 0, "aria-label": words() });
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
      const xTicks = names ? [...names.keys()] : ticks(first, last, Math.min(6, last - first)).filter(Number.isInteger);
      for (const value of xTicks) {
        const anchor = names && value === last ? "end" : names && value === first ? "start" : "middle";
        svg.append(make("text", { x: x(value), y: height - EDGE.bottom + 16, "text-anchor": anchor, class: "axis" }, names?.get(value) ?? value));
      }
      svg.append(make("text", { x: width - EDGE.right, y: height - 4, "text-anchor": "end", class: "axis" }, moment));
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
      svg.addEventListener("keydown", key);
      svg.addEventListener("blur", () => mark(null));
      const focused = root.contains(document.activeElement);
      root.replaceChildren(svg, reading);
      if (focused) svg.focus();
      if (before) mark(before);
    }

    // Arrows go along a line and from line to line; Enter picks the point.
    function key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const lines = now.series.map((one) => one.points.filter(([, value]) => value !== null)).map((points, i) => [now.series[i], points]).filter(([, points]) => points.length);
      if (!lines.length) return;
      const [across, down] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [];
      if (event.key === "Enter" && here) now.pick?.(here);
      else if (across !== undefined) {
        let line = Math.max(0, lines.findIndex(([series]) => series === here?.series));
        const start = here ? here.x : null;
        if (here) line = (line + down + lines.length) % lines.length;
        const [series, points] = lines[line];
        const at = start === null ? points.length - 1 : points.reduce((best, [x], k) => (Math.abs(x - start) < Math.abs(points[best][0] - start) ? k : best), 0);
        const [x, y] = points[Math.max(0, Math.min(points.length - 1, at + (start === null ? 0 : across)))];
        mark({ series, x, y });
      } else return;
      event.preventDefault();
      event.stopPropagation();
    }

    function words() {
      const named = (at) => (now.named ?? now.names)?.get(at) ?? `${now.moment ?? "epoch"} ${at}`;
      const lines = now.series.map((one) => {
        const there = one.points.filter(([, value]) => value !== null);
        if (!there.length) return `${one.name}: no values`;
        const [[from, begin], [to, end]] = [there[0], there.at(-1)];
        return `${one.name}: ${atlas.number(begin)} at ${named(from)}, ${atlas.number(end)} at ${named(to)}`;
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
      here = found;
      hovered.setAttribute("visibility", found ? "visible" : "hidden");
      if (found) {
        hovered.setAttribute("cx", x(found.x));
        hovered.setAttribute("cy", y(found.y));
        hovered.setAttribute("stroke", found.series.colour);
      }
      reading.textContent = found ? `${found.series.name}, ${(now.named ?? now.names)?.get(found.x) ?? `${now.moment ?? "epoch"} ${found.x}`}: ${atlas.number(found.y, 4)}` : "";
      now.point?.(found);
    }

    let drawn = 0; // px; a change of height alone, as by the line that is read, changes nothing
    new ResizeObserver(() => {
      if (root.clientWidth === drawn) return;
      drawn = root.clientWidth;
      draw();
    }).observe(root);
    root.update = (changes) => {
      now = { ...now, ...changes };
      draw();
    };
    return root;
  };

  // A piece of line, for legends.
  atlas.stroke = function (colour, dash) {
    const svg = make("svg", { width: 30, height: 10, "aria-hidden": "true" });
    svg.append(make("line", { x1: 0, x2: 30, y1: 5, y2: 5, stroke: colour, "stroke-width": 2, "stroke-dasharray": dash }));
    return svg;
  };

  // Lines of the same network look alike: the colour of the condition; runs differ by their dashes.
  const DASHES = [null, "6 3", "2 3", "8 3 2 3"];
  atlas.dash = (condition, run) => {
    const cube = atlas.study.cube(condition);
    return DASHES[Math.max(0, cube ? cube.run.indexOf(run) : 0) % DASHES.length];
  };
}
