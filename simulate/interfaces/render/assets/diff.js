"use strict";
/* The page of a diff: the changes by consequence, then both trees, joined where spans are the same. */
(() => {
  const { el, data, seconds, known } = Sim;
  const diff = data("diff");
  const app = document.getElementById("app");
  const theme = Sim.themeButton();
  const ORDER = ["behaviour", "content", "cost", "latency", "shape"];
  const STATES = { "=": ["same", "=", "the same"], "!": ["changed", "≠", "changed"], "-": ["gone", "−", "expected only"], "+": ["come", "+", "actual only"] };
  const KEEP = 2;
  const STEP = 400;
  const places = new Map();
  const elements = new Map();
  const folds = [];

  /** Two texts with what they share at either end left plain. */
  function marked(text, other) {
    if (!known(text)) return el("span", { class: "dim" }, "nothing");
    if (!known(other)) return el("span", { class: "text" }, text);
    const mine = text.split(/(\s+)/);
    const theirs = other.split(/(\s+)/);
    let start = 0;
    while (start < mine.length && start < theirs.length && mine[start] === theirs[start]) start += 1;
    let end = 0;
    while (end < mine.length - start && end < theirs.length - start && mine[mine.length - 1 - end] === theirs[theirs.length - 1 - end]) end += 1;
    return el("span", { class: "text" }, mine.slice(0, start).join(""), el("mark", null, mine.slice(start, mine.length - end).join("")), mine.slice(mine.length - end).join(""));
  }

  function both(was, now) {
    return el("div", { class: "two" },
      el("div", { class: "was" }, el("h5", null, "expected"), marked(was, now)),
      el("div", { class: "now" }, el("h5", null, "actual"), marked(now, was)));
  }

  function body(change) {
    const parts = change.details.map(([path, was, now]) => el("div", null, path ? el("h5", null, el("code", null, path)) : null, both(was, now)));
    if (!parts.length && (known(change.expected) || known(change.actual))) parts.push(both(change.expected, change.actual));
    const links = ["left", "right"].flatMap((side) => change[side].slice(0, 6).map((id) =>
      el("button", { type: "button", class: "link", onclick: () => reveal(side, id) }, `${side === "left" ? "expected" : "actual"} span ${id}`)));
    return el("div", { class: "body" }, parts, known(change.sure) ? el("p", { class: "dim" }, change.sure) : null,
      el("p", { class: "dim" }, "to ignore: ", el("code", null, change.path)), links.length ? el("p", null, links.flatMap((link) => [link, "  "])) : null);
  }

  /** One sentence, and below it each of the changes that it tells. */
  function changeElement([sentence, changes], open) {
    const [first] = changes;
    const turn = changes.length === 1 && known(first.turn) ? el("span", { class: "dim" }, `turn ${first.turn}`) : null;
    const node = el("details", { class: `change t-${first.category}`, open },
      el("summary", null, el("span", { class: "dot", "aria-hidden": "true" }), el("span", { class: "sentence" }, sentence), turn));
    const each = (change) => changes.length === 1 ? body(change) : el("div", null, el("h4", null, change.sentence), body(change));
    const fill = () => { if (node.open && node.childElementCount === 1) node.append(...changes.slice(0, 50).map(each)); };
    node.addEventListener("toggle", fill);
    fill();
    return node;
  }

  function group(title, changes, open) {
    if (!changes.length) return null;
    const list = el("div");
    let shown = 0;
    const more = el("button", { type: "button", class: "link", onclick: () => show(200) });
    const show = (count) => {
      changes.slice(shown, shown + count).forEach((change, n) => list.append(changeElement(change, open && shown + n === 0)));
      shown = Math.min(changes.length, shown + count);
      more.hidden = shown >= changes.length;
      more.textContent = `${changes.length - shown} more`;
    };
    show(25);
    return el("section", { class: "group" }, el("h3", null, `${title} · ${changes.length}`), list, more);
  }

  const alone = (changes) => changes.map((change) => [change.sentence, [change]]);

  /** One line of a conversation, beside its counterpart. */
  function talkCell(entry, other, first) {
    if (!entry) return el("div", { class: "line none" }, el("span", { class: "sr" }, "not there"));
    const [who, text, turn] = entry;
    const [speaker] = who.split(" ");
    return el("div", { class: `line by-${speaker}` },
      el("span", { class: "who" }, speaker, first ? el("span", { class: "dim num" }, ` turn ${turn}`) : null),
      other && other[1] !== text ? marked(text, other[1]) : el("span", { class: "text" }, text));
  }

  function talk() {
    const list = el("div", { class: "talk" });
    let at = 0;
    let turns = [null, null];
    const more = el("button", { type: "button", class: "fold", onclick: () => show(STEP) });
    const show = (count) => {
      for (const [state, left, right] of diff.talk.slice(at, at + count)) {
        const [word, , meaning] = STATES[state];
        const fresh = [left, right].map((entry, n) => Boolean(entry) && entry[2] !== turns[n]);
        turns = [left, right].map((entry, n) => entry ? entry[2] : turns[n]);
        list.append(el("div", { class: `exchange s-${word}`, title: meaning }, talkCell(left, right, fresh[0]), talkCell(right, left, fresh[1])));
      }
      at = Math.min(diff.talk.length, at + count);
      more.hidden = at >= diff.talk.length;
      more.textContent = `${diff.talk.length - at} more lines`;
    };
    show(120);
    return el("section", null,
      el("div", { class: "bar" }, el("h3", null, "Both conversations")),
      el("div", { class: "exchange names" }, el("div", { class: "line" }, "expected"), el("div", { class: "line" }, "actual")), list, more);
  }

  function cell(side, entry) {
    if (!entry) return el("div", { class: "cell none" }, el("span", { class: "sr" }, "not there"));
    const [depth, id, name, kind, took, failed] = entry;
    return el("div", { class: "cell some", title: `${name}  ${id}`, vars: { "--depth": String(depth), "--k": `var(--k-${kind.toLowerCase()}, var(--k-unknown))` } },
      el("span", { class: "kind" }, kind), el("span", { class: failed ? "name bad" : "name" }, name), failed ? el("span", { class: "bad" }, "failed") : null, el("span", { class: "took num" }, known(took) ? seconds(took) : ""));
  }

  function row(index) {
    if (elements.has(index)) return elements.get(index);
    const [state, told, left, right] = diff.rows[index];
    const [word, sign, meaning] = STATES[state];
    const node = el("div", { class: `pair s-${word}` });
    const joint = told.length
      ? el("button", { type: "button", class: "joint", title: told.map((n) => diff.changes[n].sentence).join("\n"), onclick: () => why(node, told) }, sign, el("span", { class: "sr" }, meaning))
      : el("span", { class: "joint", title: meaning }, sign);
    node.append(cell("left", left), joint, cell("right", right));
    elements.set(index, node);
    return node;
  }

  function why(node, told) {
    const open = node.querySelector(".why");
    if (open) { open.remove(); return; }
    node.append(el("div", { class: "why" }, told.slice(0, 20).map((n) => el("div", null, el("p", null, diff.changes[n].sentence), body(diff.changes[n])))));
  }

  function fold(from, to) {
    const button = el("button", { type: "button", class: "fold", onclick: () => open() });
    const say = () => { button.textContent = `${to - from} unchanged ${to - from === 1 ? "span" : "spans"}`; };
    const open = (until = from + STEP) => {
      const stop = Math.min(to, until);
      const rows = [];
      for (; from < stop; from += 1) rows.push(row(from));
      button.before(...rows);
      if (from >= to) button.remove(); else say();
    };
    say();
    folds.push({ covers: (index) => index >= from && index < to, open });
    return button;
  }

  /** Changed rows with a little of what stands round them, and those above them; the rest folded. */
  function tree() {
    const { rows } = diff;
    const keep = new Uint8Array(rows.length);
    const above = [];
    rows.forEach(([state, , left, right], index) => {
      const depth = (left || right)[0];
      above.length = depth;
      above[depth] = index;
      for (const [side, entry] of [["left", left], ["right", right]]) if (entry) places.set(`${side} ${entry[1]}`, index);
      if (state === "=") return;
      for (let at = Math.max(0, index - KEEP); at <= Math.min(rows.length - 1, index + KEEP); at += 1) keep[at] = 1;
      above.forEach((at) => { if (at !== undefined) keep[at] = 1; });
    });
    const node = el("div", { class: "tree" });
    let budget = 3000;
    for (let at = 0; at < rows.length;) {
      let end = at;
      while (end < rows.length && keep[end] === keep[at]) end += 1;
      if ((keep[at] && budget > 0) || end - at <= 2) {
        const stop = Math.min(end, at + Math.max(budget, 2));
        budget -= stop - at;
        for (; at < stop; at += 1) node.append(row(at));
      } else {
        node.append(fold(at, end));
        at = end;
      }
    }
    return node;
  }

  function reveal(side, id) {
    const index = places.get(`${side} ${id}`);
    if (index === undefined) return;
    const hidden = folds.find((each) => each.covers(index));
    if (hidden) hidden.open(index + 10);
    const node = elements.get(index);
    if (!node) return;
    document.querySelectorAll(".pair.at").forEach((other) => other.classList.remove("at"));
    node.classList.add("at");
    node.scrollIntoView({ block: "center" });
  }

  function side(name, trace) {
    return el("p", null, el("b", null, `${name}  `), trace.source ? `${trace.source}  ` : "", el("code", null, trace.id), el("span", { class: "dim" }, `  ${trace.spans} ${trace.spans === 1 ? "span" : "spans"}`));
  }

  const forest = tree();
  const told = diff.groups.map(([sentence, places]) => [sentence, places.map((n) => diff.changes[n])]);
  const groups = ORDER.map((category) => group(category, told.filter(([, [first]]) => first.category === category), category === "behaviour"));
  const counts = { "!": 0, "-": 0, "+": 0, "=": 0 };
  diff.rows.forEach(([state]) => { counts[state] += 1; });
  app.append(el("header", { class: "top" }, el("h1", null, "simulate diff"), theme.button),
    el("main", { class: "diff" },
      el("section", { class: `verdict is-${diff.same ? "passed" : "failed"}` }, el("h2", null, diff.headline),
        el("div", { class: "sides" }, side("expected", diff.expected), side("actual", diff.actual)),
        diff.notes.length ? el("ul", { class: "notes" }, diff.notes.map((note) => el("li", null, note))) : null),
      diff.unknown.length ? el("section", { class: "unknown" }, el("h3", null, "Not compared"), el("ul", null, diff.unknown.map((fact) => el("li", null, fact)))) : null,
      el("div", null, groups, group(`varies among the ${diff.repeats} repeats too, not counted`, alone(diff.varies), false)),
      diff.talk.length ? talk() : null,
      el("section", null,
        el("div", { class: "bar" }, el("h3", null, "Both traces"), el("div", { class: "legend" }, Object.entries(STATES).map(([state, [, sign, meaning]]) => el("span", null, `${sign} ${meaning} ${counts[state]}`)))),
        forest)));
  document.addEventListener("keydown", (event) => { if (event.key === "t" && !event.target.closest("input")) theme.toggle(); });
})();
