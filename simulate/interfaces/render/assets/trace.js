"use strict";
/* The page of one or more traces without a run. */
(() => {
  const { el, data, plural } = Sim;
  const theme = Sim.themeButton();
  const app = document.getElementById("app");
  const asked = () => new URLSearchParams(location.hash.slice(1)).get("span");
  const shows = [];
  const falls = [];
  let ready = false;
  app.append(el("header", { class: "top" }, el("h1", null, "Trace"), theme.button));
  for (let n = 0, trace = data("trace-0"); trace; n++, trace = data(`trace-${n}`)) {
    const below = el("div", { "aria-live": "polite" });
    const fall = Sim.waterfall(trace, {
      tools: true,
      onselect: (span) => {
        below.replaceChildren(Sim.spanDetail(span, () => `${location.href.split("#")[0]}#span=${encodeURIComponent(span.id)}`));
        if (ready) history.replaceState(null, "", `#span=${encodeURIComponent(span.id)}`);
      },
    });
    const about = trace.about;
    const several = about.traces.length > 1;
    const name = several ? ((about.tags.conversation || about.tags.session || about.traces)[0]) : trace.id;
    const show = (id) => { if (fall.select(id)) below.scrollIntoView({ block: "nearest" }); };
    shows.push(show);
    falls.push(fall);
    app.append(el("main", { class: "trace-page" },
      el("h2", null, several ? "conversation " : "", el("code", null, name), el("span", { class: "dim" }, ` ${several ? `${about.traces.length} traces, ` : ""}${plural(trace.spans.length, "span")}, ${Sim.seconds(trace.duration / 1e3)}`)),
      trace.source ? el("p", { class: "dim" }, trace.source) : null, Sim.traceAbout(about, show), fall.element, below));
    if (n === 0 && trace.spans.length && !trace.spans.some((span) => span.id === asked())) fall.select((trace.spans.find((span) => span.failed && span.kind !== "CHAIN") || trace.spans[0]).id);
  }
  /* An address with #span=ID opens that span, and the one that is open is in the address. */
  const follow = () => { if (asked()) shows.forEach((show) => show(asked())); };
  follow();
  ready = true;
  addEventListener("hashchange", follow);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    if (event.key === "t") theme.toggle();
    else if (falls.length && falls[0].key(event)) event.preventDefault();
  });
})();
