"use strict";
/* Who said what, turn by turn, with the tool calls between and the failed expectations at their turn. */
(() => {
  const { el, known, seconds } = Sim;

  /** handlers: span(id), verdict(number). */
  Sim.conversation = (outcome, handlers) => {
    const box = el("section", { class: "conversation", "aria-label": "conversation" });
    const turns = byTurn(outcome);
    const slowest = Math.max(0, ...turns.map((turn) => turn.wait || 0));
    for (const turn of turns) {
      const group = el("div", { class: "turn", id: `turn-${turn.number}` }, turnHead(turn, slowest));
      for (const entry of turn.entries) group.append(entry.speaker ? utterance(entry, handlers) : toolUse(entry, handlers));
      outcome.verdicts.forEach((verdict, number) => {
        if (verdict.turn === turn.number && verdict.status !== "passed") group.append(arrow(verdict, number, handlers));
      });
      box.append(group);
    }
    if (!turns.length) box.append(el("p", { class: "empty" }, "Nobody said anything."));
    const talk = outcome.conversation;
    if (talk.ended_by) box.append(el("p", { class: "ended" }, `ended by ${talk.ended_by === "limit" ? "a limit" : talk.ended_by === "fault" ? "a fault" : `the ${talk.ended_by}`}${talk.end_reason ? `: ${talk.end_reason}` : ""}`));
    return box;
  };

  function byTurn(outcome) {
    const said = outcome.conversation.utterances || [];
    const entries = said.map((entry) => ({ entry, at: entry.start, rank: entry.speaker === "caller" ? 0 : 2, turn: entry.turn }));
    for (const tool of outcome.tool_uses || []) entries.push({ entry: tool, at: moment(tool, outcome.conversation), rank: 1, turn: tool.turn });
    entries.sort((a, b) => (a.at === b.at ? a.rank - b.rank : a.at - b.at));
    const turns = [];
    for (const { entry, turn } of entries) {
      const current = turns[turns.length - 1];
      const number = known(turn) ? turn : current ? current.number : 0;
      if (current && current.number === number) current.entries.push(entry);
      else turns.push({ number, entries: [entry] });
    }
    turns.forEach(measure);
    return turns;
  }

  /** When a tool call stands; as in Python's `explain`: in a text conversation before the answer that it led to. */
  function moment(tool, talk) {
    const answers = (talk.utterances || []).filter((entry) => entry.speaker === "agent" && entry.turn === tool.turn);
    if (talk.medium === "text" || !known(tool.start)) {
      const answer = answers.find((entry) => !known(tool.start) || entry.end + 0.05 >= tool.start) || answers[answers.length - 1];
      if (answer) return answer.start;
    }
    return known(tool.start) ? tool.start : Infinity;
  }

  /** How long the caller waited for the agent's first word of the turn. */
  function measure(turn) {
    const asked = turn.entries.filter((entry) => entry.speaker === "caller");
    const answer = turn.entries.find((entry) => entry.speaker === "agent");
    if (!asked.length || !answer) return;
    turn.wait = Math.max(0, (known(answer.first) ? answer.first : answer.start) - asked[asked.length - 1].end);
  }

  function turnHead(turn, slowest) {
    const wait = known(turn.wait)
      ? el("span", { class: "wait", title: "from the caller's last word to the agent's first" },
        el("span", { class: "wait-track", "aria-hidden": "true" }, el("span", { class: "wait-fill", vars: { width: `${slowest ? (turn.wait / slowest) * 100 : 0}%` } })),
        el("span", { class: "num" }, `replied after ${seconds(turn.wait)}`))
      : null;
    return el("div", { class: "turn-head" }, el("span", null, turn.number ? `Turn ${turn.number}` : "Opening"), wait);
  }

  function utterance(entry, handlers) {
    const kinds = { silence: "stays silent", dtmf: `keys ${entry.text}`, backchannel: "" };
    const words = entry.kind === "silence" || entry.kind === "dtmf" ? el("em", null, kinds[entry.kind]) : Sim.longText(entry.text);
    const link = entry.span_id ? el("button", { type: "button", class: "link", title: "show its span in the trace", onclick: () => handlers.span(entry.span_id) }, "span") : null;
    const cut = entry.interrupted ? el("div", { class: "dim" }, "interrupted") : null;
    const heard = known(entry.heard) && entry.heard !== entry.text ? el("div", { class: "heard" }, el("span", { class: "dim" }, "heard: "), Sim.longText(entry.heard)) : null;
    const files = entry.attachments && entry.attachments.length ? el("div", { class: "dim" }, `with ${entry.attachments.join(", ")}`) : null;
    const node = el("article", { class: `said by-${entry.speaker === "agent" ? "agent" : "caller"}` },
      el("div", { class: "who" }, entry.speaker, link, el("span", { class: "num dim when" }, seconds(entry.start))), words, files, heard, cut);
    return node;
  }

  function toolUse(tool, handlers) {
    const took = known(tool.start) && known(tool.end) ? el("span", { class: "num dim" }, seconds(tool.end - tool.start)) : null;
    const details = el("details", { class: `tool ${tool.error ? "failed" : ""}` },
      el("summary", null, el("span", { class: "tool-name" }, "⚙ ", tool.name), el("span", { class: "tool-brief" },
        `(${Sim.brief(tool.arguments, 90)}) → `, tool.error ? el("span", { class: "bad" }, `✗ ${Sim.brief(tool.error, 90)}`) : Sim.brief(tool.result === null ? "nothing" : tool.result, 90)), took));
    details.addEventListener("toggle", () => {
      if (!details.open || details.children.length > 1) return;
      details.append(el("h5", null, "Arguments"), Sim.value(tool.arguments || {}), el("h5", null, tool.error ? "Error" : "Result"), Sim.value(tool.error || tool.result));
      if (tool.span_id) details.append(el("button", { type: "button", class: "link", onclick: () => handlers.span(tool.span_id) }, "show its span"));
    });
    return details;
  }

  function arrow(verdict, number, handlers) {
    const { mark, word } = Sim.status(verdict.status);
    return el("button", { type: "button", class: `arrow is-${verdict.status}`, onclick: () => handlers.verdict(number), title: "show the verdict" },
      el("span", { class: "mark" }, "→"), el("span", null, el("strong", null, `${mark} ${word}: `), verdict.expectation), el("span", { class: "arrow-fact" }, verdict.fact));
  }
})();
