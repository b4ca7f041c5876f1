"use strict";
/* One outcome: header, expectations, conversation beside the trace. */
(() => {
  const { el, known, seconds, dollars, count } = Sim;
  const NAMES = {
    turns: "turns", duration_seconds: "took", reply_p50_seconds: "reply, median", reply_p95_seconds: "reply, 95 %", reply_max_seconds: "slowest reply", caller_fidelity: "caller kept its part",
    spans: "spans", model_calls: "model calls", input_tokens: "tokens in", output_tokens: "tokens out", cost_usd: "cost",
    caller_interruptions: "caller cut in", agent_interruptions: "agent cut in", dead_air_max_seconds: "longest silence of the agent", pacing_p95_ms: "pacing error, 95 % (ms)",
  };

  /** place: {span}. Returns {element, span(id)}. */
  Sim.outcome = (outcome, place) => {
    const element = el("div", { class: "outcome" });
    const below = el("div", { class: "span-place", "aria-live": "polite" });
    const trace = outcome.trace;
    const show = (span) => below.replaceChildren(Sim.spanDetail(span));
    const fall = trace ? Sim.waterfall(trace, { onselect: (span) => { show(span); if (place.onspan) place.onspan(span.id); } }) : null;
    const flash = (node) => {
      if (!node) return;
      node.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
      node.classList.add("flash");
      setTimeout(() => node.classList.remove("flash"), 1500);
    };
    const handlers = {
      span(id) {
        if (fall && fall.select(id)) flash(fall.element);
        else below.replaceChildren(el("p", { class: "empty" }, `The trace holds no span ${id}.`));
      },
      turn: (number) => flash(element.querySelector(`#turn-${Number(number)}`)),
      verdict(number) {
        const node = element.querySelector(`#verdict-${Number(number)}`);
        if (node) node.open = true;
        flash(node);
      },
    };
    element.append(header(outcome), Sim.verdicts(outcome, handlers));
    // later rooms (a call's recording) add panels of their own: (outcome, handlers) => node or null
    for (const panel of Sim.panels) { const node = panel(outcome, handlers); if (node) element.append(node); }
    element.append(el("div", { class: "beside" },
      el("div", null, el("h3", null, "Conversation"), Sim.conversation(outcome, handlers)),
      el("div", { class: "trace-side" }, traceHead(outcome), fall ? fall.element : noTrace(outcome), below)));
    element.append(extras(outcome));
    const first = fall ? firstSpan(outcome, trace, place.span) : null;
    if (first) { fall.select(first.id, true); show(first); }
    return { element, handlers };
  };

  /** What the reader came for: the span of the link, that of the first failed verdict, else the root. */
  function firstSpan(outcome, trace, wanted) {
    const pointed = outcome.verdicts.find((verdict) => verdict.status !== "passed" && verdict.span_id);
    const find = (id) => id && trace.spans.find((span) => span.id === id);
    return find(wanted) || find(pointed && pointed.span_id) || trace.spans[0];
  }

  function header(outcome) {
    const list = el("dl", { class: "facts" });
    const rest = el("dl", { class: "facts" });
    const add = (name, value, to = list) => to.append(el("div", null, el("dt", null, name), el("dd", { class: "num" }, value)));
    const measures = { turns: Math.max(0, ...(outcome.conversation.utterances || []).map((entry) => entry.turn)), duration_seconds: outcome.conversation.duration, ...outcome.measures };
    for (const [name, value] of Object.entries(measures)) add(NAMES[name] || name.replace(/_seconds$|_usd$/, "").replace(/_/g, " "), measure(name, value), NAMES[name] ? list : rest);
    add("agent", outcome.agent);
    add("seed", String(outcome.seed));
    if (outcome.started) add("started", Sim.moment(outcome.started));
    if (outcome.source) add("scenario file", outcome.source);
    return el("header", { class: `outcome-head is-${outcome.standing}` },
      el("div", { class: "outcome-title" }, Sim.pill(outcome.standing, outcome.side),
        el("h2", { tabindex: "-1" }, outcome.scenario, outcome.case ? el("span", { class: "case" }, ` ${outcome.case}`) : null, el("span", { class: "trial" }, ` trial ${outcome.trial}`)),
        (outcome.tags || []).map((tag) => el("span", { class: "tag" }, tag))),
      excuses(outcome).map(([name, reason]) => el("p", { class: "dim", dir: "auto" }, `${name}: ${reason}`)),
      outcome.reason ? el("p", { class: "reason", dir: "auto" }, outcome.reason) : null, list,
      rest.children.length ? el("details", { class: "all-measures" }, el("summary", { class: "dim" }, Sim.plural(rest.children.length, "more measure")), rest) : null,
      (outcome.notes || []).length ? el("ul", { class: "notes" }, outcome.notes.map((note) => el("li", null, note))) : null);
  }

  function excuses(outcome) {
    const found = [["quarantined", outcome.quarantine], ["known to fail", outcome.xfail], ...(outcome.retried || []).map((reason, number) => [`attempt ${number + 1} failed`, reason])];
    return found.filter(([, reason]) => reason);
  }

  function measure(name, value) {
    if (!known(value)) return "unknown";
    if (typeof value !== "number") return value;
    if (name.endsWith("_seconds")) return seconds(value);
    if (name.endsWith("_usd")) return dollars(value);
    return Number.isInteger(value) ? count(value) : String(+value.toPrecision(4));
  }

  function traceHead(outcome) {
    const trace = outcome.trace;
    return el("h3", null, "Trace", trace ? el("span", { class: "dim" }, ` ${Sim.plural(trace.spans.length, "span")}, `, el("code", null, trace.id)) : null);
  }

  function noTrace(outcome) {
    return el("p", { class: "empty" }, outcome.trace_id ? `The trace ${outcome.trace_id} is not part of this report.` : "The agent left no trace.");
  }

  function extras(outcome) {
    const box = el("section", { class: "extras" });
    if (Object.keys(outcome.persona || {}).length) box.append(el("details", null, el("summary", null, `Persona${outcome.persona.name ? `: ${Sim.brief(outcome.persona.name, 60)}` : ""}`), Sim.value(outcome.persona)));
    if (Object.keys(outcome.pins || {}).length || outcome.world) {
      box.append(el("details", null, el("summary", null, `Pinned: ${[...Object.keys(outcome.pins || {}), ...(outcome.world ? [outcome.world] : [])].join(", ")}`), Sim.value(outcome.pins || {})));
    }
    if (outcome.scenario_text) box.append(el("details", null, el("summary", null, "Scenario as it was written"), el("pre", { class: "json", tabindex: "0" }, outcome.scenario_text)));
    if (outcome.again) box.append(el("div", null, el("h5", null, "Run it again"), el("pre", { class: "json", tabindex: "0" }, outcome.again)));
    if (outcome.folder) box.append(el("p", { class: "dim" }, "Everything about it: ", el("code", null, outcome.folder)));
    return box;
  }
})();
