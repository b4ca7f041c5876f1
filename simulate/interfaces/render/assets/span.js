"use strict";
/* Everything about one span. */
(() => {
  const { el, known, seconds, dollars, count } = Sim;

  const PLACED = { link: "placed by a link", "remote parent": "placed under its remote caller", time: "placed by its time", orphan: "parent missing", cycle: "was its own ancestor", follows: "follows another span" };

  /** The panel below a waterfall. link(): the address of the page at this span, where it has one. */
  Sim.spanDetail = (span, link) => {
    const box = el("section", { class: "span-detail", "aria-label": `span ${span.name}` });
    box.append(el("header", null,
      Sim.kindChip(span.kind), el("h4", null, span.name),
      span.failed ? el("span", { class: "pill is-failed" }, el("span", { class: "mark" }, "✗"), "error") : null,
      span.placement ? el("span", { class: "pill is-error", title: "where this span stands in the tree was worked out" }, PLACED[span.placement] || span.placement) : null));
    box.firstChild.append(el("span", { class: "span-copy" }, link ? Sim.copyButton("copy link", link) : null, Sim.copyButton("copy JSON", () => JSON.stringify(span, null, 2))));
    if (span.mark) box.append(el("p", { class: `marked mark-${span.mark.state}` }, `${span.mark.state}${span.mark.note ? `: ${span.mark.note}` : ""}`));
    box.append(facts(span));
    if (span.kind === "GUARDRAIL" && span.decided) box.append(el("p", { class: "decided" }, span.decided));
    const trouble = span.error || (span.failed ? span.status_message : null);
    if (trouble) box.append(section("Error", Sim.value(trouble), "bad"));
    if (span.scores) box.append(section("Scores", scores(span.scores)));
    part(box, "Arguments", span.tool_arguments);
    part(box, "Result", span.tool_result);
    part(box, "Query", span.query);
    if (span.documents) box.append(section(`Documents (${span.documents.length})`, documents(span.documents)));
    if (span.instructions) box.append(section("Instructions", Sim.longText(span.instructions)));
    if (span.input) box.append(section("Input", messages(span.input)));
    if (span.output) box.append(section("Output", messages(span.output)));
    if (!span.input && !known(span.tool_arguments)) part(box, "Input", span.input_value);
    if (!span.output && !known(span.tool_result)) part(box, "Output", span.output_value);
    part(box, "Handed over", span.handoff_to ? { from: span.handoff_from || null, to: span.handoff_to, ...(known(span.input_value) ? { payload: span.input_value } : {}) } : null);
    part(box, "Voice", span.voice);
    part(box, "Gateway", span.gateway);
    if (span.events) box.append(section(`Events (${span.events.length})`, events(span.events)));
    fold(box, "Parameters", span.parameters);
    fold(box, "Tools offered", span.tool_definitions);
    fold(box, "Links", span.links);
    fold(box, "Attributes as they came", span.raw && Object.keys(span.raw).length ? span.raw : null);
    fold(box, "Resource", span.resource);
    return box;
  };

  function facts(span) {
    const list = el("dl", { class: "facts" });
    const add = (name, value) => { if (known(value) && value !== "") list.append(el("div", null, el("dt", null, name), el("dd", null, value))); };
    add("took", span.for === null ? "never ended" : seconds(span.for / 1e3));
    if (known(span.own)) add("self time", seconds(span.own / 1e3));
    add("began at", seconds(span.at / 1e3));
    if (known(span.time_to_first_token)) add("first token", seconds(span.time_to_first_token));
    add("model", span.response_model || span.request_model);
    add("provider", span.provider);
    add("agent", span.agent_name);
    add("step", span.step);
    add("tool", span.tool_name);
    add("MCP server", span.tags && span.tags["mcp.server"]);
    if (known(span.input_tokens)) add("tokens in", count(span.input_tokens) + (span.cached_tokens ? ` (${count(span.cached_tokens)} cached)` : ""));
    if (known(span.output_tokens)) add("tokens out", count(span.output_tokens) + (span.reasoning_tokens ? ` (${count(span.reasoning_tokens)} reasoning)` : ""));
    if (known(span.cost)) add("cost", dollars(span.cost));
    add("finished", (span.finish_reasons || []).join(", "));
    add("prompt", [span.prompt_name, span.prompt_version].filter(Boolean).join(" "));
    add("call id", span.tool_call_id);
    add("user", span.user_id);
    add("session", span.session_id || span.conversation_id);
    for (const name of ["tenant.id", "feature.id", "experiment.id", "cohort.name"]) add(name.split(".")[0], span.tags && span.tags[name]);
    add("service", span.service);
    add("scope", span.scope);
    add("dropped", span.dropped);
    add("span", el("code", null, span.id));
    return list;
  }

  function section(title, content, tone) {
    return el("div", { class: `part ${tone || ""}` }, el("h5", null, title), content);
  }

  function part(box, title, value) {
    if (known(value) && value !== "" && !(typeof value === "object" && !Object.keys(value).length)) box.append(section(title, Sim.value(value)));
  }

  function fold(box, title, value) {
    if (!known(value)) return;
    const details = el("details", { class: "part" }, el("summary", null, title));
    details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(Sim.value(value)); });
    box.append(details);
  }

  function messages(list) {
    return el("ol", { class: "messages" }, list.map((message) => el("li", { class: `role-${/^[a-z]+$/.test(message.role) ? message.role : "other"}` },
      el("span", { class: "role" }, message.role), el("div", null, (message.parts || []).map(messagePart)))));
  }

  function messagePart(piece) {
    if (piece.type === "text") return Sim.longText(known(piece.content) ? piece.content : "");
    if (piece.type === "tool_call") return el("div", { class: "call" }, el("span", { class: "call-name" }, "⚙ ", piece.name || "?"), Sim.value(known(piece.arguments) ? piece.arguments : {}));
    if (piece.type === "tool_call_response") return el("div", { class: "call" }, el("span", { class: "call-name" }, "↩ result"), Sim.value(known(piece.response) ? piece.response : piece.result));
    if (piece.type === "reasoning") return el("div", { class: "reasoning" }, Sim.longText(known(piece.content) ? piece.content : ""));
    return Sim.value(piece);
  }

  function documents(list) {
    return el("ol", { class: "documents" }, list.map((entry) => el("li", null,
      el("div", { class: "dim" }, [entry.id, known(entry.score) ? `score ${Number(entry.score).toPrecision(3)}` : null].filter(Boolean).join(" · ")),
      Sim.value(known(entry.content) ? entry.content : entry))));
  }

  function scores(list) {
    return el("ul", { class: "scores" }, list.map((score) => el("li", null,
      Sim.meter(score.value, score.threshold, score.name),
      score.label ? el("span", { class: "dim" }, ` ${score.label}`) : null,
      score.explanation ? Sim.longText(score.explanation) : null)));
  }

  function events(list) {
    return el("ul", { class: "events" }, list.map((event) => el("li", null, el("span", { class: "num dim" }, seconds(event.at / 1e3)), el("strong", null, event.name),
      el("div", null, Object.keys(event.attributes || {}).length ? Sim.value(event.attributes) : null))));
  }

  /** A score against its threshold: a bar with a tick, and the same in words. */
  Sim.meter = (value, threshold, name) => {
    const inside = (number) => `${Math.max(0, Math.min(1, number)) * 100}%`;
    const scored = typeof value === "number";
    const low = scored && typeof threshold === "number" && value < threshold;
    const words = `${scored ? +value.toFixed(3) : "no score"}${typeof threshold === "number" ? `, needs ${+threshold.toFixed(3)}` : ""}`;
    return el("span", { class: `meter ${low ? "low" : ""}` },
      name ? el("strong", null, name) : null,
      el("span", { class: "track", "aria-hidden": "true" },
        scored ? el("span", { class: "fill", vars: { width: inside(value) } }) : null,
        typeof threshold === "number" ? el("span", { class: "tick", vars: { left: inside(threshold) } }) : null),
      el("span", { class: "num" }, words));
  };
})();
