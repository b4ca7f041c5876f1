"use strict";
/* The head of a trace: who, when, which models, at what cost, what was judged, and which agent did what. */
(() => {
  const { el, known, count, dollars, plural } = Sim;

  /** about: what Python's `trace_about()` made; onspan(id) is called where a verdict is chosen. */
  Sim.traceAbout = (about, onspan) => el("section", { class: "about", "aria-label": "the trace as a whole" },
    facts(about), verdicts(about.verdicts, onspan), roles(about.roles));

  function facts(about) {
    const list = el("dl", { class: "facts" });
    const add = (name, value) => { if (known(value) && value !== "") list.append(el("div", null, el("dt", null, name), el("dd", null, value))); };
    if (about.began) add("began", new Date(about.began).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" }));
    for (const [name, values] of Object.entries(about.tags)) add(name, values.join(", "));
    add(about.models.length > 1 ? "models" : "model", about.models.join(", "));
    add("cost", known(about.cost) ? dollars(about.cost) : "unknown");
    if (known(about.tokens)) add("tokens", count(about.tokens));
    return list;
  }

  function verdicts(list, onspan) {
    if (!list.length) return null;
    const sorted = [...list].sort((one, other) => (one.passed === false ? 0 : 1) - (other.passed === false ? 0 : 1));
    return el("ul", { class: "verdicts-of-trace" }, sorted.map((score) => el("li", { class: score.passed === false ? "bad" : "" },
      el("span", { class: "mark", "aria-hidden": "true" }, { true: "✓", false: "✗" }[score.passed] || "•"),
      Sim.meter(score.value, score.threshold, score.name),
      score.label ? el("span", { class: "dim" }, score.label) : null,
      el("button", { type: "button", class: "link", onclick: () => onspan(score.span) }, score.at))));
  }

  function roles(list) {
    if (!list.length) return null;
    const head = ["agent", "model calls", "tool calls", "steps", "cost", "failures"];
    return el("div", { class: "roles" }, el("table", null,
      el("thead", null, el("tr", null, head.map((name, n) => el("th", { class: n ? "num" : "", scope: "col" }, name)))),
      el("tbody", null, list.map((role) => el("tr", { class: role.failures ? "failing" : "", "aria-label": `${role.name}: ${plural(role.calls, "model call")}` },
        [role.name, count(role.calls), count(role.tools), known(role.steps) ? count(role.steps) : "–", known(role.dollars) ? dollars(role.dollars) : "unknown", count(role.failures)]
          .map((value, n) => el("td", { class: n ? "num" : "" }, value)))))));
  }
})();
