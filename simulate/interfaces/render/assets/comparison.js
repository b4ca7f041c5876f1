"use strict";
/* Two runs: what broke, what was mended, and why, worst first. */
(() => {
  const { el, data, known, seconds, dollars, count } = Sim;
  const found = data("comparison");
  const TONE = { broke: "failed", worse: "failed", failing: "error", unclear: "error", gone: "not_run", new: "not_run", better: "passed", mended: "passed", passing: "passed" };
  const app = document.getElementById("app");
  const theme = Sim.themeButton();

  function rate(trials) {
    if (!trials) return "–";
    const unjudged = trials.outcomes - trials.judged;
    return `${count(trials.passed)}/${count(trials.judged)}${unjudged ? ` (+${count(unjudged)} without a verdict)` : ""}`;
  }

  const change = (before, after, show) => `${known(before) ? show(before) : "–"} → ${known(after) ? show(after) : "–"}`;
  const of = (trials, name) => (trials ? trials[name] : undefined);

  function row(entry) {
    const causes = Object.entries((entry.after && entry.after.causes) || {});
    return el("tr", null,
      el("td", { class: "c-scenario" }, el("strong", null, entry.name), entry.excused ? el("span", { class: "tag" }, "excused") : null,
        causes.map(([why, number]) => el("div", { class: "cause" }, el("span", { class: "dim num" }, `${count(number)} × `), why))),
      el("td", { class: "num" }, `${rate(entry.before)} → ${rate(entry.after)}`),
      el("td", { class: "num wide" }, change(of(entry.before, "seconds"), of(entry.after, "seconds"), seconds)),
      el("td", { class: "num wide" }, change(of(entry.before, "cost_usd"), of(entry.after, "cost_usd"), dollars)));
  }

  function group(name, says) {
    const cases = found.cases.filter((entry) => entry.change === name);
    if (!cases.length) return null;
    const table = el("table", { class: "compared" }, el("thead", null, el("tr", null, ["Scenario", "Passed", "Took", "Cost"].map((title, n) => el("th", { scope: "col", class: n ? `num${n > 1 ? " wide" : ""}` : null }, title)))), el("tbody", null, cases.map(row)));
    return el("details", { class: `is-${TONE[name]}`, id: name, open: name !== "passing" },
      el("summary", null, el("span", { class: "pill" }, `${count(cases.length)} ${name}`), el("span", { class: "dim" }, ` ${says}`)), table);
  }

  const strip = el("div", { class: "strip", "aria-hidden": "true" }, Object.keys(found.says).map((name) => {
    const number = found.cases.filter((entry) => entry.change === name).length;
    return number ? el("span", { class: `is-${TONE[name]}`, vars: { "flex-grow": number } }) : null;
  }));
  app.append(el("header", { class: "top" }, el("h1", null, "simulate", el("span", { class: "run" }, `${found.before || "?"} → ${found.after || "?"}`)), theme.button),
    el("main", { class: "overview" }, el("section", { class: "summary" }, strip), Object.entries(found.says).map(([name, says]) => group(name, says)),
      found.cases.length ? null : el("p", { class: "empty" }, "Neither run has an outcome.")));
})();
