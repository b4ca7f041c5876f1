"use strict";
/* The page of one or more traces without a run. */
(() => {
  const { el, data, plural } = Sim;
  const theme = Sim.themeButton();
  const app = document.getElementById("app");
  app.append(el("header", { class: "top" }, el("h1", null, "Trace"), theme.button));
  for (let n = 0, trace = data("trace-0"); trace; n++, trace = data(`trace-${n}`)) {
    const below = el("div", { "aria-live": "polite" });
    const fall = Sim.waterfall(trace, { onselect: (span) => below.replaceChildren(Sim.spanDetail(span)) });
    const about = trace.about;
    const several = about.traces.length > 1;
    const name = several ? ((about.tags.conversation || about.tags.session || about.traces)[0]) : trace.id;
    const show = (id) => { if (fall.select(id)) below.scrollIntoView({ block: "nearest" }); };
    app.append(el("main", { class: "trace-page" },
      el("h2", null, several ? "conversation " : "", el("code", null, name), el("span", { class: "dim" }, ` ${several ? `${about.traces.length} traces, ` : ""}${plural(trace.spans.length, "span")}, ${Sim.seconds(trace.duration / 1e3)}`)),
      trace.source ? el("p", { class: "dim" }, trace.source) : null, Sim.traceAbout(about, show), fall.element, below));
    if (n === 0 && trace.spans.length) fall.select((trace.spans.find((span) => span.failed && span.kind !== "CHAIN") || trace.spans[0]).id);
  }
  document.addEventListener("keydown", (event) => { if (event.key === "t" && !event.ctrlKey && !event.metaKey) theme.toggle(); });
})();
