"use strict";
/* Where the time of a trace went: each span's own time, and the path that the whole of it waited for. */
(() => {
  /**
   * spans: rows in the order of the tree, each with depth, at and for (milliseconds; null: it never ended).
   * Returns {own: ms per row or null where unknown, path: a list of [from, to] per row}.
   */
  Sim.timing = (spans) => {
    const kids = spans.map(() => []);
    const tops = [];
    const above = [];
    spans.forEach((span, n) => {
      while (above.length && spans[above[above.length - 1]].depth >= span.depth) above.pop();
      (above.length ? kids[above[above.length - 1]] : tops).push(n);
      above.push(n);
    });
    const end = (n) => spans[n].at + spans[n].for;
    const timed = (list) => list.filter((n) => spans[n].for !== null);
    return { own: spans.map((span, n) => own(span, timed(kids[n]), spans, end)), path: waitedFor(spans, kids, timed(tops), timed, end) };
  };

  /** The time of a span in which none below it ran. */
  function own(span, kids, spans, end) {
    if (span.for === null) return null;
    const stop = span.at + span.for;
    let left = span.for;
    let covered = span.at;
    for (const n of kids.sort((one, other) => spans[one].at - spans[other].at)) {
      const from = Math.max(covered, spans[n].at);
      const to = Math.min(stop, end(n));
      if (to > from) { left -= to - from; covered = to; }
    }
    return Math.max(0, left);
  }

  /** From the end backwards: what ended last before a moment is what that moment waited for. */
  function waitedFor(spans, kids, tops, timed, end) {
    const path = spans.map(() => []);
    const last = Math.max(0, ...tops.map(end));
    const work = [[-1, 0, last]];
    while (work.length) {
      const [n, from, until] = work.pop();
      let at = until;
      const below = n < 0 ? tops : timed(kids[n]);
      for (const kid of below.sort((one, other) => end(other) - end(one))) {
        const stop = Math.min(end(kid), until); // what outlives its parent was not waited for to its end
        if (stop > at || stop <= from || spans[kid].at >= at) continue;
        if (n >= 0 && at > stop) path[n].push([stop, at]);
        at = Math.max(from, spans[kid].at);
        work.push([kid, at, stop]);
      }
      if (n >= 0 && at > from) path[n].push([from, at]);
    }
    return path;
  }
})();
