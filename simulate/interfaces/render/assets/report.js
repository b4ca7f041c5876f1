"use strict";
/* The run's report: the overview, one outcome at a time, and the keys between them. */
(() => {
  const { el, data } = Sim;
  const run = data("run");
  const rows = data("index") || [];
  const numbers = new Map(rows.map((row, number) => [row.key, number]));
  const app = document.getElementById("app");
  const theme = Sim.themeButton();
  const overview = Sim.overview(run, rows, open, () => history.replaceState(null, "", `#${overview.address()}`));
  const place = el("main", { class: "detail", hidden: true });
  const help = helpDialog();
  let current = null;
  let kept = 0;

  const crumbs = el("nav", { class: "crumbs", "aria-label": "outcomes" });
  app.append(el("header", { class: "top" },
    el("h1", null, el("a", { href: "#" }, "simulate"), run ? el("span", { class: "run" }, run.id) : null), crumbs,
    el("button", { type: "button", class: "quiet keys-button", title: "keys (?)", onclick: () => help.showModal() }, "? Keys"), theme.button), overview.element, place, help);

  function read() {
    const words = new URLSearchParams(location.hash.slice(1));
    return { key: words.get("outcome"), span: words.get("span"), words };
  }

  function open(key) { location.hash = `outcome=${encodeURIComponent(key)}`; }
  function close() { location.hash = overview.address(); }

  function route() {
    const { key, span, words } = read();
    if (!key) { overview.read(words); showOverview(); return; }
    if (key === current) return;
    if (!current) kept = scrollY;
    current = key;
    const number = numbers.get(key);
    overview.element.hidden = true;
    place.hidden = false;
    if (number === undefined) place.replaceChildren(el("p", { class: "empty" }, `This report holds no outcome “${key}”.`));
    else show(key, number, span);
    scrollTo(0, 0);
  }

  function show(key, number, span) {
    const outcome = data(`outcome-${number}`);
    const remember = (id) => history.replaceState(null, "", `#outcome=${encodeURIComponent(key)}&span=${encodeURIComponent(id)}`);
    const view = Sim.outcome(outcome, { span, onspan: remember });
    place.replaceChildren(view.element);
    overview.mark(key);
    document.title = `${Sim.status(outcome.status).word} – ${Sim.visible(key)}`;
    const list = overview.shown();
    const at = list.findIndex((row) => row.key === key);
    crumbs.replaceChildren(el("a", { href: `#${overview.address()}` }, "← All outcomes"),
      el("button", { type: "button", class: "quiet", title: "previous (k)", disabled: at <= 0, onclick: () => step(-1) }, "↑"),
      el("button", { type: "button", class: "quiet", title: "next (j)", disabled: at < 0 || at >= list.length - 1, onclick: () => step(1) }, "↓"),
      el("span", { class: "dim num" }, at < 0 ? "" : `${at + 1} of ${list.length}`));
    place.querySelector("h2").focus({ preventScroll: true });
  }

  function showOverview() {
    current = null;
    place.hidden = true;
    place.replaceChildren();
    crumbs.replaceChildren();
    overview.element.hidden = false;
    document.title = run ? `simulate ${run.id}` : "simulate";
    scrollTo(0, kept);
  }

  /** The next outcome in the order in which the overview shows them; `wanted` may leave some out. */
  function step(by, wanted = () => true) {
    const list = overview.shown();
    const marked = current || overview.marked();
    let at = list.findIndex((row) => row.key === marked);
    if (at < 0 && by < 0) at = list.length;
    for (at += by; at >= 0 && at < list.length; at += by) {
      if (!wanted(list[at])) continue;
      if (current) open(list[at].key);
      else overview.mark(list[at].key).scrollIntoView({ block: "nearest" });
      return;
    }
  }

  const KEYS = {
    j: () => step(1),
    k: () => step(-1),
    f: () => { const wanted = (row) => row.status !== "passed"; if (current) step(1, wanted); else { const first = overview.shown().find(wanted); if (first) open(first.key); } },
    "/": () => { if (current) close(); overview.element.hidden = false; overview.focusSearch(); },
    t: theme.toggle,
    "?": () => help.showModal(),
    Enter: () => { const row = overview.shown().find((entry) => entry.key === overview.marked()); if (!current && row) open(row.key); },
    Escape: () => { if (current) close(); },
  };

  addEventListener("hashchange", route);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const typing = event.target.closest("input, select, textarea");
    if (typing) { if (event.key === "Escape" || (event.key === "Enter" && typing.type === "search")) typing.blur(); return; }
    if (event.key === "Enter" && event.target.closest("button, a, summary, [role=tree]")) return;
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  function helpDialog() {
    const keys = [["j  k", "next, previous outcome"], ["f", "next one that did not pass"], ["Enter", "open the marked one"], ["Esc", "back to all"], ["/", "search"], ["t", "light or dark"], ["↑ ↓ ← →", "move in a waterfall, fold and unfold"], ["?", "this help"]];
    return el("dialog", { "aria-label": "keys" }, el("h2", null, "Keys"), el("dl", { class: "keys" }, keys.map(([key, what]) => el("div", null, el("dt", null, key.split("  ").map((one) => el("kbd", null, one))), el("dd", null, what)))),
      el("button", { type: "button", class: "chip", onclick: (event) => event.target.closest("dialog").close() }, "Close"));
  }

  route();
})();
