"""Search, filters, critical path and zoom of the page of a trace, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import orjson

from simulate.interfaces.render.html import write_trace_html
from simulate.trace.span import Span, Trace

MS = 1_000_000
START = 1_763_890_000_000 * MS


def span(number: int, name: str, parent: int | None, at: int, until: int | None, **more: Any) -> Span:
    kind = more.pop("kind", "CHAIN")
    return Span(
        "a" * 32, f"{number:016x}", name, parent and f"{parent:016x}", START + at * MS,
        None if until is None else START + until * MS,
        {"openinference.span.kind": kind, **more.pop("has", {})}, **more,
    )  # fmt: skip


def trace() -> Trace:
    return Trace(
        "a" * 32,
        [
            span(1, "answer", None, 0, 100, kind="AGENT"),
            span(2, "plan", 1, 0, 40, kind="LLM", has={"input.value": "Where is order 4417?"}),
            span(3, "act", 1, 30, 90),
            span(4, "lookup", 3, 50, 60, kind="TOOL", status="error", has={"output.value": "no ORDER 4417"}),
            span(5, "log", 3, 80, None, kind="TOOL"),
        ],
    )


ASKED = """
const $ = (words) => document.querySelector(words);
const all = (words) => [...document.querySelectorAll(words)];
const title = (row) => row.querySelector(".wf-title").textContent;
const rows = () => all(".wf-row").map((row) => title(row) + (row.classList.contains("beside") ? "*" : ""));
const chip = (name) => all(".wf-chip").find((each) => each.textContent.includes(name)).click();
const press = (key, more) => {
  const event = new KeyboardEvent("keydown", {key, bubbles: true, ...more});
  (document.activeElement || document.body).dispatchEvent(event);
};
const said = {};
const spans = JSON.parse($("#trace-0").textContent).spans;
const timing = Sim.timing(spans);
said.own = timing.own;
said.path = timing.path;
press("/");
const input = $(".wf-find input");
const deep = Array.from({length: 20000}, (_, n) => ({depth: n, at: n, for: 90000 - 2 * n}));
said.deep = Sim.timing(deep).path.every((each) => each.length); // and overflows no stack
said.focused = document.activeElement === input;
input.value = "Order 4417";
input.dispatchEvent(new Event("input"));
const told = () => $(".wf-find .num").textContent;
const chosen = () => $(".wf-row.at .wf-title").textContent;
said.search = [told()];
for (const shiftKey of [false, false, true]) {
  press("Enter", {shiftKey});
  said.search.push(`${told()} ${chosen()}`);
}
press("Escape");
chip("errors"); said.errors = rows(); chip("errors");
chip("tool"); said.tools = rows(); chip("tool");
chip("critical path"); said.critical = rows(); said.segments = all(".wf-path").length; chip("critical path");
said.all = rows();
const width = () => $(".wf-row.at .wf-bar").style.width;
const before = width();
press("+");
said.closer = [before, width()];
said.left = $(".span-copy").textContent;
document.documentElement.dataset.said = JSON.stringify(said);
"""


def asked(page: Path, browse: Callable[..., str]) -> dict[str, Any]:
    text = re.sub(r"script-src [^;]*;", "script-src 'unsafe-inline';", page.read_text("utf-8"), count=1)
    page.write_text(text.replace("</body>", f"<script>{ASKED}</script></body>"), "utf-8")
    dom = browse(page)
    found = re.search(r'data-said="(.*?)"', dom)
    assert found is not None, "the script of the test stopped"
    return orjson.loads(unescape(found[1]))


def test_a_trace_is_searched_filtered_and_zoomed(browse: Callable[..., str], tmp_path: Path) -> None:
    said = asked(write_trace_html(tmp_path / "trace.html", [trace()]), browse)
    # the agent waited for act, in which lookup ran; plan was over before act was: nothing waited for it
    assert said["own"] == [10, 40, 50, 10, None]
    assert said["path"] == [[[90, 100], [0, 30]], [], [[60, 90], [30, 50]], [[50, 60]], []]
    assert said["deep"] and said["focused"]
    assert said["search"] == ["2 of 2", "1 of 2 plan", "2 of 2 lookup", "1 of 2 plan"]
    assert said["errors"] == ["answer*", "act*", "lookup"]
    assert said["tools"] == ["answer*", "act*", "lookup", "log"]
    assert said["critical"] == ["answer", "act", "lookup"] and said["segments"] == 5
    assert said["all"] == ["answer", "plan", "act", "lookup", "log"]
    before, after = (float(width.removesuffix("%")) for width in said["closer"])
    assert after > before
    assert said["left"] == "copy linkcopy JSON"
