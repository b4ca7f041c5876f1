"use strict";
/* What was expected, what happened, by which evidence, against which threshold. */
(() => {
  const { el, known } = Sim;
  const ORDER = { failed: 0, error: 1, not_run: 2, passed: 3 };

  Sim.verdicts = (outcome, handlers) => {
    const all = outcome.verdicts.map((verdict, number) => ({ verdict, number }));
    all.sort((a, b) => ORDER[a.verdict.status] - ORDER[b.verdict.status] || a.number - b.number);
    const box = el("section", { class: "verdicts", "aria-label": "verdicts" }, el("h3", null, "Expectations"));
    if (!all.length) box.append(el("p", { class: "empty" }, "Nothing was expected of this conversation."));
    for (const { verdict, number } of all) box.append(card(verdict, number, handlers));
    return box;
  };

  function card(verdict, number, handlers) {
    const { mark, word } = Sim.status(verdict.status);
    const details = el("details", { class: `verdict is-${verdict.status}`, id: `verdict-${number}`, open: verdict.status !== "passed" },
      el("summary", null,
        el("span", { class: "mark", title: word }, mark), el("span", { class: "sr" }, word),
        el("span", { class: "check" }, verdict.check),
        el("span", { class: "expectation" }, verdict.expectation, verdict.status === "passed" ? el("span", { class: "dim" }, `  ${Sim.brief(verdict.fact, 120)}`) : null),
        verdict.side && verdict.status !== "passed" ? el("span", { class: "side" }, verdict.side) : null,
        known(verdict.score) ? Sim.meter(verdict.score, verdict.threshold) : null));
    const body = el("div", { class: "verdict-body" });
    if (verdict.fact) body.append(row(verdict.status === "failed" ? "happened" : "found", Sim.longText(verdict.fact)));
    if (known(verdict.expected) || known(verdict.actual)) {
      body.append(el("div", { class: "pair" },
        el("div", null, el("h5", null, "expected"), Sim.value(verdict.expected)),
        el("div", null, el("h5", null, "actual"), Sim.value(verdict.actual))));
    }
    if ((verdict.evidence || []).length) body.append(row("evidence", el("ul", null, verdict.evidence.map((piece) => el("li", null, el("q", null, Sim.longText(piece)))))));
    if (verdict.hint) body.append(row("what to do", Sim.longText(verdict.hint)));
    const places = [];
    if (known(verdict.turn)) places.push(el("button", { type: "button", class: "link", onclick: () => handlers.turn(verdict.turn) }, verdict.turn ? `turn ${verdict.turn}` : "the opening"));
    if (verdict.span_id) places.push(el("button", { type: "button", class: "link", onclick: () => handlers.span(verdict.span_id) }, "span ", el("code", null, verdict.span_id)));
    if (places.length) body.append(row("where", el("div", { class: "places" }, places)));
    details.append(body);
    return details;
  }

  const row = (name, content) => el("div", { class: "row" }, el("span", { class: "label" }, name), content);
})();
