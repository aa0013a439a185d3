// The findings of a study of any form: each measure of each layer, and the conditions compared.
"use strict";

{
  const HEADS = ["layer", "condition", "value", "95 % interval", "p, exact", "verdict", "in other spaces"];

  const interval = (ends) => (ends ? ends.map((end) => atlas.number(end)).join(" … ") : "–");

  const value = (number) => (number === null ? "–" : atlas.number(number));

  function elsewhere(comparison) {
    return Object.entries(comparison.elsewhere || {}).map(([where, verdict]) => `${where}: ${verdict}`).join("; ");
  }

  function rowsOf(layer) {
    const name = layer.layer ?? "whole network";
    const values = layer.conditions.map((one) => [name, one.condition, value(one.value), interval(one.interval), "", "", ""]);
    const pairs = layer.comparisons.map((one) => {
      const ratio = one.scale === "ratio";
      const p = one.p === null ? "–" : `${atlas.number(one.p)} (least ${atlas.number(one.p_floor)})`;
      return [name, `${one.first} ${ratio ? "/" : "−"} ${one.second}`, one.effect === null ? "–" : `${atlas.number(one.effect)}${ratio ? "×" : ""}`, interval(one.interval), p, one.verdict, elsewhere(one)];
    });
    const gaps = layer.missing.map((gap) => [name, `not computed: ${gap}`, "", "", "", "", ""]);
    return [...values, ...pairs, ...gaps];
  }

  function table(layers) {
    const head = atlas.element("tr", {}, HEADS.map((one) => atlas.element("th", { scope: "col" }, one)));
    const rows = layers.flatMap(rowsOf).map((row) => atlas.element("tr", {}, row.map((text) => atlas.element("td", {}, text))));
    return atlas.element("div", { class: "wide" }, atlas.element("table", {}, atlas.element("thead", {}, head), atlas.element("tbody", {}, rows)));
  }

  // How many comparisons of a measure say what.
  function counts(layers) {
    const verdicts = layers.flatMap((layer) => layer.comparisons.map((one) => one.verdict));
    return ["higher", "lower", "undecided", "not computed"].map((verdict) => [verdicts.filter((one) => one === verdict).length, verdict]).filter(([count]) => count).map(([count, verdict]) => `${count} ${verdict}`).join(", ");
  }

  function measure(one) {
    const name = one.name.replaceAll("_", " ");
    const line = [atlas.element("b", {}, `${name}${one.unit ? `, ${one.unit}` : ""}`), atlas.element("span", { class: "soft" }, counts(one.layers))];
    const gaps = one.missing.map((gap) => atlas.element("p", { class: "soft" }, `Not computed: ${gap}.`));
    const details = atlas.element("details", {}, atlas.element("summary", {}, "What was measured"));
    // Made when it is opened: a study of many layers has thousands of rows.
    details.addEventListener("toggle", () => details.open && details.children.length === 1 && details.append(table(one.layers)));
    return atlas.element("li", { class: "finding", id: one.name }, atlas.element("div", { class: "verdict" }, line), atlas.element("p", { class: "claim" }, `${one.text}${one.when ? `; ${one.when}` : ""}`), gaps, one.layers.length ? details : null);
  }

  atlas.described = ({ study, note, space, measures }) => {
    const lead = `Every measure of every layer in the space ${space}, and each condition against each other. Beside a verdict: the one with another mask, embedder or distance.`;
    return atlas.element("section", {}, atlas.element("h2", {}, study.title), atlas.element("p", {}, lead), atlas.element("ol", { class: "findings" }, measures.map(measure)), atlas.element("p", { class: "soft" }, note));
  };
}
