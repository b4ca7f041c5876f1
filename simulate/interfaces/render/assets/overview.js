"use strict";
/* All outcomes of the run: counts, filters, one row each. */
(() => {
  const { el, known, seconds, dollars, count } = Sim;
  const RANK = { failed: 0, error: 1, not_run: 2, flaky: 3, xpassed: 4, xfailed: 5, quarantined: 6, passed: 7 };
  const ALWAYS = ["failed", "error", "not_run", "passed"];
  /** Lines drawn at once: laying out thousands takes longer than typing a letter may. The rest follow as the page is scrolled. */
  const DRAWN = 100;
  const COLUMNS = [
    { id: "status", title: "Status", of: (row) => RANK[row.status] },
    { id: "scenario", title: "Scenario", of: (row) => row.order },
    { id: "turns", title: "Turns", of: (row) => row.turns, show: (row) => count(row.turns), num: true },
    { id: "seconds", title: "Took", of: (row) => row.seconds, show: (row) => seconds(row.seconds), num: true },
    { id: "reply", title: "Reply p95", of: (row) => row.reply_p95_seconds, show: (row) => seconds(row.reply_p95_seconds), num: true },
    { id: "tokens", title: "Tokens", of: tokens, show: (row) => count(tokens(row)), num: true },
    { id: "cost", title: "Cost", of: (row) => row.cost_usd, show: (row) => dollars(row.cost_usd), num: true },
  ];

  function tokens(row) {
    return known(row.input_tokens) && known(row.output_tokens) ? row.input_tokens + row.output_tokens : undefined;
  }

  /** Returns {element, shown() → the rows that match, focusSearch(), mark(key) → its line, marked() → key, read(words), address()}; `moved` is told when a filter changes. */
  Sim.overview = (run, rows, open, moved) => {
    const group = rows.some((row) => row.trial > 1) ? "scenario" : "";
    const state = { status: new Set(), side: "", tag: "", text: "", group, sort: "status", down: false, folded: new Set() };
    const controls = filters(rows, state, () => { apply(); moved(); });
    rows.forEach((row, order) => {
      row.order = order;
      row.hay = [row.key, row.reason, row.side, ...(row.tags || [])].filter(Boolean).join(" ").toLowerCase();
    });
    const body = el("tbody");
    const heads = COLUMNS.map((column) => head(column, state, () => { apply(); moved(); }));
    const table = el("table", { class: "outcomes" }, el("caption", { class: "sr" }, "outcomes"), el("thead", null, el("tr", null, heads)), body);
    const tally = el("p", { class: "tally dim", role: "status" });
    const nothing = el("p", { class: "empty", hidden: true }, "No outcome matches.");
    const rest = el("tr", { class: "rest", hidden: true }, el("td", { colspan: COLUMNS.length }, "…"));
    let shown = rows;
    let lines = [];
    let drawn = 0;
    let marked = null;

    /** Draw the lines up to a number, beside those that are drawn. */
    function draw(number) {
      const added = lines.slice(drawn, number).map((entry) => entry.node || node(entry));
      drawn += added.length;
      rest.before(...added);
      rest.hidden = drawn === lines.length;
    }
    function node(row) {
      row.node = line(row, open);
      row.node.classList.toggle("at", row.key === marked);
      return row.node;
    }
    /** Draw more while the end of what is drawn is in sight or nearly. */
    function more() {
      while (rest.getClientRects().length && rest.getBoundingClientRect().top < innerHeight + 1500) draw(drawn + DRAWN);
    }
    for (const name of ["scroll", "resize"]) addEventListener(name, more, { passive: true });
    addEventListener("beforeprint", () => draw(lines.length));

    function apply(number = DRAWN) {
      const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
      const column = COLUMNS.find((entry) => entry.id === state.sort);
      shown = rows.filter((row) => (!state.status.size || state.status.has(row.status)) && (!state.side || row.side === state.side)
        && (!state.tag || (row.tags || []).includes(state.tag)) && words.every((word) => row.hay.includes(word)));
      shown.sort((a, b) => compare(column.of(a), column.of(b), state.down) || a.order - b.order);
      nothing.hidden = shown.length > 0;
      tally.textContent = shown.length === rows.length ? "" : `${count(shown.length)} of ${count(rows.length)} outcomes`;
      lines = grouped(shown, state, () => apply(drawn));
      shown = lines.filter((entry) => entry.key);
      drawn = 0;
      body.replaceChildren(rest);
      draw(Math.max(number, DRAWN));
      requestAnimationFrame(more);
      heads.forEach((cell, n) => cell.setAttribute("aria-sort", COLUMNS[n].id === state.sort ? (state.down ? "descending" : "ascending") : "none"));
    }

    apply();
    return {
      element: el("main", { class: "overview" }, summary(run, rows), controls.element, tally, table, nothing, reliability(run)),
      shown: () => shown,
      read(words) {
        state.status = new Set((words.get("status") || "").split(",").filter((name) => name in RANK));
        for (const name of ["side", "tag"]) state[name] = words.get(name) || "";
        state.text = words.get("q") || "";
        state.group = words.has("group") ? words.get("group") : group;
        state.sort = COLUMNS.some((column) => column.id === words.get("sort")) ? words.get("sort") : "status";
        state.down = words.has("down");
        controls.show();
        apply(drawn); // back from an outcome, the page is scrolled to where it was
      },
      address() {
        const words = new URLSearchParams();
        if (state.status.size) words.set("status", [...state.status].join(","));
        for (const [name, value] of [["side", state.side], ["tag", state.tag], ["q", state.text]]) if (value) words.set(name, value);
        if (state.group !== group) words.set("group", state.group);
        if (state.sort !== "status" || state.down) words.set("sort", state.sort);
        if (state.down) words.set("down", "1");
        return words.toString();
      },
      focusSearch: () => { controls.search.focus(); controls.search.select(); },
      marked: () => marked,
      mark(key) {
        marked = key;
        draw(lines.findIndex((entry) => entry.key === key) + 1);
        for (const row of rows) if (row.node) row.node.classList.toggle("at", row.key === key);
        return (rows.find((row) => row.key === key) || {}).node;
      },
    };
  };

  const GROUPS = {
    scenario: (row) => `${row.scenario}${row.case ? ` ${row.case}` : ""}`,
    cause: (row) => row.cause || "passed",
  };

  /** Rows with a line above each group; the rows of a folded group are left out. */
  function grouped(rows, state, apply) {
    const of = GROUPS[state.group];
    if (!of) return rows;
    const groups = new Map();
    for (const row of rows) {
      const name = of(row);
      if (groups.has(name)) groups.get(name).push(row);
      else groups.set(name, [row]);
    }
    let entries = [...groups.entries()];
    // the most frequent cause first, and what passed last
    if (state.group === "cause") entries = entries.sort(([a, x], [b, y]) => (a === "passed") - (b === "passed") || y.length - x.length);
    return entries.flatMap(([name, members]) => {
      if (state.group === "scenario" && members.length === 1) return members;
      const folded = state.folded.has(name);
      const toggle = () => { if (!state.folded.delete(name)) state.folded.add(name); apply(); };
      const passed = members.filter((row) => row.status === "passed").length;
      const worst = members.reduce((a, b) => (RANK[a.status] <= RANK[b.status] ? a : b)).status;
      const told = state.group === "scenario" ? `${count(passed)}/${count(members.length)} passed` : `${count(members.length)} ×`;
      const node = el("tr", { class: `group is-${worst}` }, el("th", { colspan: COLUMNS.length, scope: "rowgroup" },
        el("button", { type: "button", "aria-expanded": String(!folded), onclick: toggle }, el("span", { class: "fold", "aria-hidden": "true" }, folded ? "▸" : "▾"), el("span", { class: "num count" }, told), el("span", { class: "group-name", dir: "auto" }, Sim.brief(name, 200)))));
      return [{ node }, ...(folded ? [] : members)];
    });
  }

  /** What is unknown comes last, whichever way the column is sorted. */
  function compare(a, b, down) {
    if (!known(a) || !known(b)) return known(a) ? -1 : known(b) ? 1 : 0;
    return (down ? -1 : 1) * (a < b ? -1 : a > b ? 1 : 0);
  }

  function head(column, state, apply) {
    const button = el("button", { type: "button" }, column.title);
    button.addEventListener("click", () => {
      state.down = state.sort === column.id ? !state.down : Boolean(column.num);
      state.sort = column.id;
      apply();
    });
    return el("th", { scope: "col", class: `c-${column.id} ${column.num ? "num" : ""}` }, button);
  }

  function line(row, open) {
    const node = el("tr", { class: `is-${row.status}` }, COLUMNS.map((column) => {
      if (column.id === "status") return el("td", { class: "c-status" }, Sim.pill(row.status, row.side));
      if (column.id === "scenario") return scenario(row);
      return el("td", { class: `num c-${column.id}`, "data-title": column.id === "turns" && row.turns === 1 ? "turn" : column.title.toLowerCase() }, known(column.of(row)) ? column.show(row) : "–");
    }));
    node.addEventListener("click", (event) => { if (!event.target.closest("a")) open(row.key); });
    return node;
  }

  function scenario(row) {
    return el("td", { class: "c-scenario" },
      el("a", { href: `#outcome=${encodeURIComponent(row.key)}` }, row.scenario, row.case ? el("span", { class: "case" }, ` ${row.case}`) : null, el("span", { class: "trial" }, ` #${row.trial}`)),
      row.medium === "voice" ? el("span", { class: "tag" }, "voice") : null, (row.tags || []).filter((tag) => tag !== row.medium).map((tag) => el("span", { class: "tag" }, tag)),
      row.reason && row.status !== "passed" ? el("div", { class: "reason", dir: "auto" }, Sim.brief(row.reason, 260)) : null);
  }

  function summary(run, rows) {
    const total = rows.length;
    const strip = el("div", { class: "strip", "aria-hidden": "true" });
    for (const name in RANK) {
      const number = rows.filter((row) => row.status === name).length;
      if (number) strip.append(el("span", { class: `is-${name}`, vars: { "flex-grow": number } }));
    }
    const sum = (of, show) => {
      const values = rows.map(of).filter(known);
      // where some are unknown, the rest is what it was at least
      return values.length ? `${values.length < total ? "≥ " : ""}${show(values.reduce((a, b) => a + b, 0))}` : "–";
    };
    const facts = [["outcomes", count(total)], ["talked", sum((row) => row.seconds, seconds)], ["tokens", sum(tokens, count)], ["cost", sum((row) => row.cost_usd, dollars)]];
    if (run) {
      if (run.agent) facts.push(["agent", run.agent]);
      facts.push(["seed", String(run.seed)], ["started", run.started ? Sim.moment(run.started) : "–"]);
      if (!run.ended) facts.push(["ended", "not recorded: still running, or killed"]);
    }
    const calls = Sim.data("calls");
    return el("section", { class: "summary" }, strip, calls ? el("p", null, el("a", { href: calls }, "The calls: how long replies took, the worst first")) : null, el("dl", { class: "facts" }, facts.map(([name, value]) => el("div", null, el("dt", null, name), el("dd", { class: "num" }, value)))),
      run && run.flaky && run.flaky.length ? el("p", null, el("strong", null, "Flaky: "), run.flaky.join(", ")) : null,
      run && run.notes && run.notes.length ? el("ul", { class: "notes" }, run.notes.map((note) => el("li", null, note))) : null,
      run && run.command && run.command.length ? el("p", { class: "command" }, el("code", null, run.command.join(" "))) : null);
  }

  function filters(rows, state, apply) {
    const pressed = [];
    const chips = Object.keys(RANK).map((name) => {
      const number = rows.filter((row) => row.status === name).length;
      if (!number && !ALWAYS.includes(name)) return null;
      const { mark, word } = Sim.status(name);
      const chip = el("button", { type: "button", class: `chip is-${name}`, "aria-pressed": "false", disabled: number === 0 }, el("span", { class: "mark", "aria-hidden": "true" }, mark), `${word} `, el("span", { class: "num" }, count(number)));
      pressed.push(() => chip.setAttribute("aria-pressed", String(state.status.has(name))));
      chip.addEventListener("click", () => {
        if (!state.status.delete(name)) state.status.add(name);
        show();
        apply();
      });
      return chip;
    });
    const search = el("input", { type: "search", placeholder: "Search name, reason, tag   /", "aria-label": "search outcomes" });
    search.addEventListener("input", () => { state.text = search.value; apply(); });
    const plain = (values) => [...new Set(values.filter(Boolean))].sort().map((value) => [value, value]);
    const boxes = [select("side", "Any side", plain(rows.map((row) => row.side)), state, apply),
      select("tag", "Any tag", plain(rows.flatMap((row) => row.tags || [])), state, apply),
      select("group", "Not grouped", [["scenario", "By scenario"], ["cause", "By cause"]], state, apply)].filter(Boolean);
    const element = el("section", { class: "filters", "aria-label": "filters" }, chips, boxes.map((box) => box.node), search);
    function show() {
      pressed.forEach((press) => press());
      boxes.forEach((box) => box.show());
      search.value = state.text;
    }
    show();
    return { element, search, show };
  }

  function select(name, any, options, state, apply) {
    if (!options.length) return null;
    const node = el("select", { "aria-label": name }, el("option", { value: "" }, any), options.map(([value, title]) => el("option", { value }, title)));
    node.addEventListener("change", () => { state[name] = node.selectedIndex ? options[node.selectedIndex - 1][0] : ""; apply(); });
    return { node, show: () => { node.selectedIndex = options.findIndex(([value]) => value === state[name]) + 1; } };
  }

  function reliability(run) {
    if (!run || !run.reliability || !run.reliability.length) return null;
    const percent = (value) => `${(value * 100).toFixed(0)} %`;
    return el("details", { class: "reliability" }, el("summary", null, "Reliability over trials (pass^k)"),
      el("table", null, el("thead", null, el("tr", null, ["Scenario", "Trials", "Passed", "pass^k", "Interval"].map((title) => el("th", { scope: "col" }, title)))),
        el("tbody", null, run.reliability.map((entry) => el("tr", null, el("td", null, entry.scenario, entry.case ? ` ${entry.case}` : ""), el("td", { class: "num" }, count(entry.trials)), el("td", { class: "num" }, count(entry.passed)),
          el("td", { class: "num" }, `pass^${entry.k} = ${percent(entry.value)}`), el("td", { class: "num" }, `${percent(entry.low)} – ${percent(entry.high)}`, entry.method ? el("span", { class: "dim" }, ` ${percent(entry.confidence)}, ${entry.method}`) : null))))));
  }
})();
