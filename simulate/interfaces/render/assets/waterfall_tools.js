"use strict";
/* The bar above a waterfall: search, filters, the path that was waited for, a small map of it all, and zoom. */
(() => {
  const { el, count, plural } = Sim;
  const DRAWN = 400;

  /** Every text of a span, to be searched. */
  function words(value, found = []) {
    if (value === null || value === undefined) return found;
    if (typeof value === "object") Object.values(value).forEach((each) => words(each, found));
    else found.push(String(value));
    return found;
  }

  /**
   * spans and timing are those of the waterfall; view: {only(test or null), mark(set of rows), select(n), at(),
   * window(from, to), path(on)}. Returns {element, window(from, to), zoom(factor), focus()}.
   */
  Sim.waterfallTools = (data, timing, view) => {
    const spans = data.spans;
    const texts = new Array(spans.length);
    const text = (n) => (texts[n] === undefined ? (texts[n] = words(spans[n]).join("\n").toLowerCase()) : texts[n]);
    const whole = data.duration || 1;
    const state = { hits: [], from: 0, to: whole, kinds: new Set() };

    const told = el("span", { class: "num dim", role: "status" });
    const input = el("input", { type: "search", placeholder: "Search in the spans  ( / )", "aria-label": "search in the spans", autocomplete: "off", spellcheck: "false" });
    function search() {
      const wanted = input.value.trim().toLowerCase();
      state.hits = wanted ? spans.map((_, n) => n).filter((n) => text(n).includes(wanted)) : [];
      view.mark(new Set(state.hits));
      tell();
    }
    function tell() {
      const place = state.hits.indexOf(view.at());
      told.textContent = input.value.trim() ? (state.hits.length ? `${place < 0 ? "–" : count(place + 1)} of ${count(state.hits.length)}` : "none") : "";
    }
    function step(by) {
      if (!state.hits.length) return;
      const place = state.hits.indexOf(view.at());
      const next = place >= 0 ? place + by : by > 0 ? 0 : -1;
      view.select(state.hits[(next + state.hits.length) % state.hits.length]);
      tell();
    }
    input.addEventListener("input", search);
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") { step(event.shiftKey ? -1 : 1); event.preventDefault(); }
      else if (event.key === "Escape") { input.value = ""; search(); input.blur(); }
    });

    const errors = toggle("errors", "only spans that failed", filter);
    const path = toggle("critical path", "what the trace waited for, from its end backwards", () => { view.path(on(path)); filter(); });
    const least = el("input", { type: "number", min: "0", step: "any", placeholder: "ms", "aria-label": "spans of at least so many milliseconds", onchange: filter, oninput: filter, onkeydown: (event) => event.stopPropagation() });
    const kinds = [...new Set(spans.map((span) => span.kind))];
    const chips = kinds.map((kind) => {
      const number = spans.reduce((sum, span) => sum + (span.kind === kind ? 1 : 0), 0);
      const chip = el("button", { type: "button", class: "wf-chip", "aria-pressed": "false", title: `only ${kind.toLowerCase()} spans` }, Sim.kindChip(kind), el("span", { class: "num dim" }, count(number)));
      chip.addEventListener("click", () => { press(chip); if (on(chip)) state.kinds.add(kind); else state.kinds.delete(kind); filter(); });
      return chip;
    });
    const left = el("span", { class: "num dim", role: "status" });
    function filter() {
      const bound = parseFloat(least.value);
      const tests = [];
      if (state.kinds.size) tests.push((n) => state.kinds.has(spans[n].kind));
      if (on(errors)) tests.push((n) => spans[n].failed);
      if (on(path)) tests.push((n) => timing.path[n].length > 0);
      if (bound >= 0) tests.push((n) => spans[n].for === null || spans[n].for >= bound);
      const shown = view.only(tests.length ? (n) => tests.every((test) => test(n)) : null);
      left.textContent = tests.length ? plural(shown, "span") : "";
    }

    const pane = el("div", { class: "wf-pane" });
    const map = el("div", { class: "wf-map", title: "drag to zoom, double-click for the whole", "aria-hidden": "true" }, sketch(spans, whole), pane);
    let from = null;
    const place = (event) => { const box = map.getBoundingClientRect(); return Math.max(0, Math.min(1, (event.clientX - box.left) / (box.width || 1))) * whole; };
    map.addEventListener("pointerdown", (event) => { from = place(event); map.setPointerCapture(event.pointerId); });
    map.addEventListener("pointermove", (event) => { if (from !== null) show(Math.min(from, place(event)), Math.max(from, place(event))); });
    map.addEventListener("pointerup", (event) => {
      const to = place(event);
      if (from !== null && Math.abs(to - from) > whole / 200) set(Math.min(from, to), Math.max(from, to));
      else show(state.from, state.to);
      from = null;
    });
    map.addEventListener("dblclick", () => set(0, whole));
    function show(start, stop) {
      pane.style.left = `${(start / whole) * 100}%`;
      pane.style.width = `${((stop - start) / whole) * 100}%`;
    }
    function set(start, stop) {
      const width = Math.max(whole / 1e5, Math.min(whole, stop - start));
      state.from = Math.max(0, Math.min(whole - width, start));
      state.to = state.from + width;
      show(state.from, state.to);
      back.disabled = width >= whole;
      view.window(state.from, state.to);
    }
    function zoom(factor) {
      const chosen = spans[view.at()];
      const middle = chosen ? Math.max(state.from, Math.min(state.to, chosen.at + (chosen.for || 0) / 2)) : (state.from + state.to) / 2;
      const width = (state.to - state.from) / factor;
      set(middle - width / 2, middle + width / 2);
    }
    const back = button("whole", "the whole time (0)", () => set(0, whole));
    const span = button("this span", "zoom to the chosen span (z)", () => { const chosen = spans[view.at()]; if (chosen && chosen.for) set(chosen.at - chosen.for * 0.05, chosen.at + chosen.for * 1.05); });

    const element = el("div", { class: "wf-tools" },
      el("div", { class: "wf-find" }, input, told, button("↑", "the hit before (Shift+Enter)", () => step(-1)), button("↓", "the next hit (Enter)", () => step(1))),
      el("div", { class: "wf-filters", role: "group", "aria-label": "which spans are shown" }, chips, errors, path, el("label", { class: "dim" }, "at least ", least), left),
      el("div", { class: "wf-zoom", role: "group", "aria-label": "time" }, button("+", "closer (+)", () => zoom(2)), button("−", "farther (-)", () => zoom(0.5)), span, back), map);
    show(0, whole);
    back.disabled = true;
    return { element, tell, zoom, whole: () => set(0, whole), span: () => span.click(), focus: () => input.focus() };
  };

  const on = (node) => node.getAttribute("aria-pressed") === "true";
  const press = (node) => node.setAttribute("aria-pressed", String(!on(node)));

  function button(name, title, onclick) { return el("button", { type: "button", class: "quiet", title, "aria-label": title, onclick }, name); }

  function toggle(name, title, onclick) {
    const node = el("button", { type: "button", class: "wf-chip", title, "aria-pressed": "false" }, name);
    node.addEventListener("click", () => { press(node); onclick(); });
    return node;
  }

  /** The spans as thin lines: all of them up to some hundreds, then as many of them, and those that failed. */
  function sketch(spans, whole) {
    const every = Math.max(1, Math.ceil(spans.length / DRAWN));
    let failed = 0;
    return spans.map((span, n) => {
      if (n % every && !(span.failed && failed++ < DRAWN)) return null;
      const width = span.for === null ? whole - span.at : span.for;
      return el("span", { class: `wf-line ${Sim.kindColour(span.kind)} ${span.failed ? "failed" : ""}`, vars: { left: `${(span.at / whole) * 100}%`, width: `${(width / whole) * 100}%`, top: `${3 + (n / spans.length) * 38}px` } });
    });
  }
})();
