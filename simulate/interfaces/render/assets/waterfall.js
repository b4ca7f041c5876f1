"use strict";
/* The waterfall: a tree of spans over time. Only the rows in sight exist, so that 20,000 spans scroll. */
(() => {
  const { el, seconds, count, known } = Sim;
  const ROW = 28;
  const KINDS = { EMBEDDING: "RETRIEVER", RERANKER: "RETRIEVER", CONVERSATION: "CHAIN", TURN: "CHAIN", WORKFLOW: "CHAIN" };
  let made = 0;

  const colour = (kind) => `k-${(KINDS[kind] || kind).toLowerCase().replace(/[^a-z]/g, "")}`;
  Sim.kindColour = colour;
  Sim.kindChip = (kind) => el("span", { class: `kind ${colour(kind)}` }, kind === "UNKNOWN" ? "?" : kind.toLowerCase());

  /**
   * data: what Python's `waterfall()` made. options: onselect(span), fold (depth from which rows begin folded),
   * tools (whether a bar to search, filter and zoom with stands above).
   * Returns {element, select(id, quiet), light(ids), spans, key(event)}.
   */
  Sim.waterfall = (data, options = {}) => {
    const spans = data.spans;
    const uid = `wf${made++}`;
    const state = { open: new Array(spans.length).fill(true), rows: [], at: -1, lit: new Set(), hits: new Set(), kept: null, from: 0, to: data.duration || 1, path: false };
    const last = lastOfEach(spans);
    const timing = options.tools ? Sim.timing(spans) : null;
    if (timing) spans.forEach((span, n) => { span.own = timing.own[n]; });
    if (known(options.fold)) spans.forEach((span, n) => { if (span.depth >= options.fold) state.open[n] = false; });

    const rowsBox = el("div", { class: "wf-rows" });
    const scroll = el("div", { class: "wf-scroll", role: "tree", tabindex: "0", "aria-label": "spans of the trace; arrow keys move, Enter shows one" }, rowsBox);
    const tools = timing && spans.length ? Sim.waterfallTools(data, timing, { only, mark, at: () => state.at, select: reveal, window, path: (is) => { state.path = is; } }) : null;
    let ticks = axis(data, state);
    const element = el("div", { class: "waterfall" }, tools ? tools.element : legend(data), ticks, scroll,
      spans.length ? null : el("p", { class: "empty" }, "The trace holds no spans."),
      (data.notes || []).length ? el("ul", { class: "notes" }, data.notes.map((note) => el("li", null, note))) : null);

    function layout() {
      state.rows = [];
      for (let n = 0; n < spans.length; n = state.open[n] ? n + 1 : last[n] + 1) if (!state.kept || state.kept[n]) state.rows.push(n);
      rowsBox.style.height = `${state.rows.length * ROW}px`;
      draw();
    }

    /** Show rows that pass, with those above them; null shows all. Returns how many pass. */
    function only(test) {
      let passed = 0;
      state.kept = test ? new Uint8Array(spans.length) : null;
      if (test) spans.forEach((_, n) => {
        if (!test(n)) return;
        passed++;
        for (let up = n, depth = spans[n].depth + 1; up >= 0 && depth > 0; up--) if (spans[up].depth < depth) { if (up !== n && state.kept[up]) break; depth = spans[up].depth; state.kept[up] = up === n ? 2 : 1; }
      });
      scroll.scrollTop = 0;
      layout();
      return passed;
    }

    function mark(hits) { state.hits = hits; draw(); }

    function window(from, to) {
      Object.assign(state, { from, to });
      const fresh = axis(data, state);
      ticks.replaceWith(fresh);
      ticks = fresh;
      draw();
    }

    function draw() {
      const height = scroll.clientHeight || 640;
      const from = Math.max(0, Math.floor(scroll.scrollTop / ROW) - 10);
      const to = Math.min(state.rows.length, Math.ceil((scroll.scrollTop + height) / ROW) + 10);
      const shown = [];
      for (let place = from; place < to; place++) shown.push(row(state.rows[place], place));
      rowsBox.replaceChildren(...shown);
      const active = state.at >= 0 ? `${uid}-${state.at}` : "";
      if (active) scroll.setAttribute("aria-activedescendant", active);
    }

    function row(n, place) {
      const span = spans[n];
      const parent = last[n] > n;
      const node = el("div", {
        id: `${uid}-${n}`, role: "treeitem", "aria-level": span.depth + 1, "aria-selected": String(n === state.at),
        "aria-expanded": parent ? String(state.open[n]) : null,
        "aria-label": `${span.kind.toLowerCase()} ${span.name}, ${span.for === null ? "never ended" : seconds(span.for / 1e3)}${span.failed ? ", error" : ""}`,
        class: ["wf-row", n === state.at ? "at" : "", state.lit.has(span.id) || state.hits.has(n) ? "lit" : "", state.kept && state.kept[n] === 1 ? "beside" : "", span.failed ? "failed" : "", span.mark ? `mark-${span.mark.state}` : ""].join(" "),
        vars: { top: `${place * ROW}px`, "--depth": Math.min(span.depth, 14) },
        title: tip(span),
      },
      el("span", { class: "wf-name" },
        el("span", { class: `wf-fold ${parent ? "" : "leaf"}`, "aria-hidden": "true", onclick: (event) => { event.stopPropagation(); toggle(n); } }, parent ? (state.open[n] ? "▾" : "▸") : ""),
        Sim.kindChip(span.kind), span.failed ? el("span", { class: "bad", "aria-hidden": "true" }, "✗") : null,
        el("bdi", { class: "wf-title" }, span.name),
        span.decided ? el("bdi", { class: "wf-decided dim" }, span.decided) : null,
        span.mark ? el("span", { class: "wf-mark" }, span.mark.state) : null,
        parent && !state.open[n] ? el("span", { class: "dim" }, `+${last[n] - n}`) : null),
      bar(span, data, state, state.path ? timing.path[n] : []), el("span", { class: "wf-for num" }, span.for === null ? "open" : seconds(span.for / 1e3)));
      node.addEventListener("click", () => select(n));
      return node;
    }

    function toggle(n, want) {
      if (last[n] === n) return;
      state.open[n] = want === undefined ? !state.open[n] : want;
      layout();
    }

    function select(n, quiet) {
      state.at = n;
      const place = state.rows.indexOf(n);
      if (place >= 0) {
        const top = place * ROW;
        if (top < scroll.scrollTop) scroll.scrollTop = top;
        else if (scroll.clientHeight && top + ROW > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + ROW - scroll.clientHeight;
      }
      draw();
      if (tools) tools.tell();
      if (!quiet && options.onselect) options.onselect(spans[n]);
    }

    /** Select a row that may be folded away, or be filtered out. */
    function reveal(n, quiet) {
      for (let up = n, depth = spans[n].depth; up >= 0; up--) {
        if (spans[up].depth < depth) { depth = spans[up].depth; state.open[up] = true; }
        if (state.kept && (up === n || spans[up].depth === depth)) state.kept[up] = state.kept[up] || 1;
      }
      layout();
      select(n, quiet);
    }

    function keys(event) {
      const place = state.rows.indexOf(state.at);
      const moves = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: state.rows.length - 1, PageDown: place + 15, PageUp: place - 15 };
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key in moves) select(state.rows[Math.max(0, Math.min(state.rows.length - 1, moves[event.key]))]);
      else if (event.key === "ArrowRight" && state.at >= 0) toggle(state.at, true);
      else if (event.key === "ArrowLeft" && state.at >= 0) foldOrUp();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }

    function foldOrUp() {
      if (last[state.at] > state.at && state.open[state.at]) { toggle(state.at, false); return; }
      for (let n = state.at - 1; n >= 0; n--) if (spans[n].depth < spans[state.at].depth) { select(n); return; }
    }

    let waiting = false;
    scroll.addEventListener("scroll", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; draw(); });
    });
    scroll.addEventListener("keydown", keys);
    layout();
    return {
      element,
      spans,
      /** What a key means here, wherever on the page it was pressed; whether it meant anything. */
      key(event) {
        const does = tools && { "/": tools.focus, "+": () => tools.zoom(2), "-": () => tools.zoom(0.5), 0: tools.whole, z: tools.span }[event.key];
        if (does) does();
        return Boolean(does);
      },
      light(ids) { state.lit = new Set(ids); draw(); },
      select(id, quiet) {
        const n = spans.findIndex((span) => span.id === id);
        if (n < 0) return false;
        reveal(n, quiet);
        return true;
      },
    };
  };

  /** The index of the last row below each row (itself where none is). */
  function lastOfEach(spans) {
    const last = spans.map((_, n) => n);
    const stack = [];
    spans.forEach((span, n) => {
      while (stack.length && spans[stack[stack.length - 1]].depth >= span.depth) last[stack.pop()] = n - 1;
      stack.push(n);
    });
    while (stack.length) last[stack.pop()] = spans.length - 1;
    return last;
  }

  function bar(span, data, { from, to }, path) {
    const whole = to - from || 1;
    const inside = (at) => Math.max(0, Math.min(100, ((at - from) / whole) * 100));
    const end = span.for === null ? data.duration : span.at + span.for;
    const left = inside(span.at);
    const width = inside(end) - left;
    const out = end < from || span.at > to;
    const first = known(span.time_to_first_token) && span.for > 0 ? span.at + span.time_to_first_token * 1e3 : 0;
    return el("span", { class: "wf-track", "aria-hidden": "true" },
      out ? null : el("span", { class: `wf-bar ${colour(span.kind)} ${span.for === null ? "open" : ""}`, vars: { left: `${left}%`, width: `${width}%` } },
        first && width ? el("span", { class: "wf-first", vars: { width: `${Math.max(0, Math.min(100, ((inside(first) - left) / width) * 100))}%` } }) : null),
      path.map(([start, stop]) => (stop < from || start > to ? null : el("span", { class: "wf-path", vars: { left: `${inside(start)}%`, width: `${inside(stop) - inside(start)}%` } }))));
  }

  function tip(span) {
    const facts = [span.name, span.response_model || span.request_model];
    if (known(span.input_tokens) || known(span.output_tokens)) facts.push(`${count(span.input_tokens)} → ${count(span.output_tokens)} tokens`);
    if (known(span.time_to_first_token)) facts.push(`first token after ${seconds(span.time_to_first_token)}`);
    if (known(span.cost)) facts.push(Sim.dollars(span.cost));
    if (known(span.own)) facts.push(`${seconds(span.own / 1e3)} self time`);
    return facts.filter(Boolean).join(" · ");
  }

  function legend(data) {
    const found = new Map();
    for (const span of data.spans) found.set(span.kind, (found.get(span.kind) || 0) + 1);
    return el("div", { class: "wf-legend" }, [...found].map(([kind, number]) => el("span", null, Sim.kindChip(kind), el("span", { class: "num dim" }, count(number)))));
  }

  function axis(data, { from, to }) {
    const [start, shown] = [from / 1e3, (to - from) / 1e3];
    const rough = shown / 5 || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough) || rough;
    const ticks = [];
    for (let n = Math.ceil(start / step - 1e-6); n * step - start <= shown * 0.93 && ticks.length < 12; n++) ticks.push(el("span", { class: "num", vars: { left: `${((n * step - start) * 100) / (shown || 1)}%` } }, n ? seconds(n * step).replace(/(\.\d*?)0+ /, "$1 ").replace(". ", " ") : "0"));
    return el("div", { class: "wf-axis", "aria-hidden": "true" }, el("span", { class: "wf-name" }), el("span", { class: "wf-track" }, ticks), el("span", { class: "wf-for num" }, seconds(data.duration / 1e3)));
  }
})();
