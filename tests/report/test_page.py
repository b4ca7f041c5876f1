"""The HTML report in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import orjson
import pytest

from simulate.interfaces.render.html import keys, write_html, write_trace_html
from simulate.interfaces.render.page import inert, page
from simulate.interfaces.render.waterfall import Mark, waterfall
from simulate.trace.span import Kind, Span, Trace, View

Browse = Callable[..., str]


def write(path: Path, make: SimpleNamespace, pairs: list) -> Path:
    outcomes = [outcome for outcome, _ in pairs]
    traces = {trace.trace_id: trace for _, trace in pairs}
    return write_html(path, make.run(outcomes), outcomes, traces, views=make.views)


def body(dom: str) -> str:
    """What a reader sees: the application's part of the document, without the data it was made from."""
    app = dom[dom.index('<div id="app">') :]
    return app[: app.index('<script type="application/json"')]


def words(dom: str) -> str:
    return unescape(re.sub(r"<[^>]*>", " ", body(dom)))


def test_the_overview_lists_a_thousand_outcomes(
    make: SimpleNamespace, browse: Browse, tmp_path: Path
) -> None:
    pairs = [make.outcome(number) for number in range(1000)]
    outcomes = [outcome for outcome, _ in pairs]
    few = {trace.trace_id: trace for _, trace in pairs[:50]}  # what the browser dumps would be 30 MB with all
    report = write_html(tmp_path / "report.html", make.run(outcomes), outcomes, few, views=make.views)
    dom = browse(report)
    drawn = len(re.findall(r"<tr class=\"is-", body(dom)))
    assert 50 < drawn < 500  # a letter typed into the search would take too long with all
    assert "1,000" in words(dom)
    printed = browse(with_script(report, "dispatchEvent(new Event('beforeprint'))"))
    assert len(re.findall(r"<tr class=\"is-", body(printed))) == 1000
    scrolls = "document.querySelector('tr.rest').scrollIntoView(); dispatchEvent(new Event('scroll'))"
    scrolled = browse(with_script(report, scrolls))
    assert len(re.findall(r"<tr class=\"is-", body(scrolled))) > drawn
    last = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'k', bubbles: true}))"
    assert '<tr class="is-passed at"' in body(browse(with_script(report, last)))
    failed = sum(outcome.status == "failed" for outcome, _ in pairs)
    assert re.search(rf"failed <span class=\"num\">{failed}</span>", body(dom))
    assert "pass^4 = 63 %" in words(dom)


def test_a_link_opens_an_outcome_at_a_span(make: SimpleNamespace, browse: Browse, tmp_path: Path) -> None:
    pairs = [make.outcome(number) for number in range(20)] + [make.outcome(77, status="failed")]
    report = write(tmp_path / "report.html", make, pairs)
    outcome, trace = pairs[-1]
    tool = next(span for span in trace.spans if "lookup_order" in span.name)
    dom = browse(report, f"#outcome={quote(outcome.key)}&span={tool.span_id}")
    text = words(dom)
    assert re.search(r"<title>failed – ", dom)
    assert "issue_refund with amount 42.50, after lookup_order" in text
    assert "0.62, needs 0.8" in text
    assert "replied after" in text
    assert "Dolores Quint" in text
    detail = body(dom)[body(dom).index('class="span-detail"') :]
    assert "execute_tool lookup_order" in detail and "KB-31" in detail
    assert body(dom).count('role="treeitem"') == len(trace.spans)


def test_keys_move_between_outcomes(make: SimpleNamespace, browse: Browse, tmp_path: Path) -> None:
    pairs = [make.outcome(number, status="passed") for number in range(3)]
    pairs.append(make.outcome(77, status="failed"))
    report = write(tmp_path / "report.html", make, pairs)
    first, failed = (f"{pairs[n][0].key}" for n in (0, 3))
    assert titles_after(report, ["f", "j", "Escape"], browse) == [
        f"failed – {failed}",
        f"passed – {first}",
        "simulate 2026-11-20-0941-7f3a",
    ]
    marked = titles_after(report, ["j", "j", "Enter", "k", "?"], browse)
    assert marked[2:4] == [f"passed – {first}", f"failed – {failed}"]


def with_script(report: Path, script: str) -> Path:
    """A copy of the page whose policy allows one script more."""
    text = report.read_text("utf-8")
    text = re.sub(r"script-src [^;]*;", "script-src 'unsafe-inline';", text, count=1)
    copy = report.with_name("scripted.html")
    copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    return copy


def titles_after(report: Path, pressed: list[str], browse: Browse) -> list[str]:
    """The page's title after each key, pressed in a copy of the page."""
    script = """
      const told = [];
      KEYS.forEach((key, n) => {
        const press = new KeyboardEvent("keydown", {key, bubbles: true});
        setTimeout(() => document.body.dispatchEvent(press), 200 * n);
        setTimeout(() => {
          told.push(document.title);
          document.documentElement.dataset.told = JSON.stringify(told);
        }, 200 * n + 150);
      });""".replace("KEYS", str(pressed))
    dom = browse(with_script(report, script))
    assert ("?" in pressed) == ('aria-label="keys" open' in dom)
    return orjson.loads(unescape(re.search(r'data-told="(.*?)"', dom)[1]))


def test_nothing_that_an_agent_said_runs(make: SimpleNamespace, browse: Browse, tmp_path: Path) -> None:
    outcome, trace = make.hostile()
    report = write(tmp_path / "report.html", make, [(outcome, trace), make.outcome(1)])
    text = report.read_text("utf-8")
    assert text.count("<script>") == len(re.findall("sha256-", re.search("script-src[^;]*", text)[0]))
    overview = browse(report)
    detail = browse(report, f"#outcome={quote(outcome.key)}&span={trace.spans[4].span_id}")
    for dom in (overview, detail):
        assert "<title>owned" not in dom
        assert not re.search(r"<(?:img|svg|script|b)\b", body(dom))
        assert not re.search("[\x00\x1b\x9b\u202e]", body(dom))
        assert "document.title='owned'" in words(dom), "the reader should see what was said"
    assert "\\x1b[31mred" in words(detail)


def test_the_escaping_holds_without_the_policy(make: SimpleNamespace, browse: Browse, tmp_path: Path) -> None:
    outcome, trace = make.hostile()
    report = write(tmp_path / "report.html", make, [(outcome, trace)])
    bare = tmp_path / "bare.html"
    bare.write_text(re.sub(r"<meta http-equiv=.*?>", "", report.read_text("utf-8"), count=1), "utf-8")
    assert "Content-Security-Policy" not in bare.read_text("utf-8")
    assert "<title>owned" not in browse(bare, f"#outcome={quote(outcome.key)}")


def test_the_policy_alone_stops_what_the_escaping_would_miss(browse: Browse, tmp_path: Path) -> None:
    made = b"".join(page("t", [], scripts=["base.js"], styles=["base.css"]))
    evil = b"<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"></body>"
    target = tmp_path / "evil.html"
    target.write_bytes(made.replace(b"</body>", evil))
    assert "<title>owned" not in browse(target)
    allowed = re.sub(b"script-src [^;]*;", b"script-src 'unsafe-inline';", target.read_bytes(), count=1)
    target.write_bytes(allowed)
    assert "<title>owned" in browse(target), "the planted script must work, or this test proves nothing"


def test_the_page_asks_for_nothing(make: SimpleNamespace, tmp_path: Path) -> None:
    text = write(tmp_path / "report.html", make, [make.outcome(1)]).read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(
        r"(?:src|href)=[\"']?(?:https?:)?//|@import|url\(|fetch\(|XMLHttpRequest|innerHTML", text
    )


def test_a_megabyte_is_cut_and_counted(make: SimpleNamespace, tmp_path: Path) -> None:
    outcome, trace = make.hostile()
    report = write(tmp_path / "report.html", make, [(outcome, trace)])
    assert report.stat().st_size < 1_500_000
    assert f"980,000 more characters; all of it is in {outcome.folder}/outcome.json" in report.read_text(
        "utf-8"
    )


def test_secrets_by_name_stay_out(make: SimpleNamespace, tmp_path: Path) -> None:
    report = write(tmp_path / "report.html", make, [make.hostile()])
    assert "sk-very-secret" not in report.read_text("utf-8")


def test_an_outcome_without_trace_or_words(make: SimpleNamespace, browse: Browse, tmp_path: Path) -> None:
    outcome, _ = make.outcome(3, status="error")
    outcome.conversation.utterances.clear()
    outcome.tool_uses.clear()
    outcome.verdicts.clear()
    report = write_html(tmp_path / "report.html", None, [outcome], {})
    text = words(browse(report, f"#outcome={quote(outcome.key)}"))
    assert "Nobody said anything." in text and "is not part of this report" in text


def test_a_trace_alone_has_a_page(make: SimpleNamespace, browse: Browse, tmp_path: Path) -> None:
    report = write_trace_html(tmp_path / "trace.html", [make.trace(1, 4), make.trace(2, 3)], views=make.views)
    dom = browse(report, width=400)
    assert body(dom).count('class="waterfall"') == 2
    assert "execute_tool issue_refund" in words(dom)


def test_real_traces_have_a_page(browse: Browse, tmp_path: Path) -> None:
    folder = Path(__file__).parents[3] / "shared" / "traces"
    if not folder.is_dir():
        pytest.skip("../shared/traces is not here")
    from simulate.trace.files.reader import read

    traces = read(folder / "11_livekit_1.8.9_native_fakes.otlp.jsonl")
    text = words(browse(write_trace_html(tmp_path / "trace.html", traces)))
    assert "41 spans" in text and "agent_session" in text and "llm_request" in text


def test_twenty_thousand_spans_show_only_those_in_sight(browse: Browse, tmp_path: Path) -> None:
    spans = [
        Span("a" * 32, f"{n:016x}", f"s{n}", f"{n // 10:016x}" if n else None, 1 + n, n + 9)
        for n in range(21_000)
    ]

    views = {span.span_id: View(Kind.CHAIN, "test") for span in spans}
    trace = Trace("a" * 32, spans, source="big.jsonl")
    data = waterfall(trace, views)
    assert len(data["spans"]) == 20_000
    assert data["notes"] == ["1,000 more spans are not shown; the trace file has them"]
    dom = browse(write_trace_html(tmp_path / "trace.html", [trace], views=lambda _: views))
    assert 5 < body(dom).count('role="treeitem"') < 200


def test_every_span_stands_once_whatever_its_parents() -> None:
    def span(id: str, parent: str | None, start: int) -> Span:
        return Span("t", id, id, parent, start)

    ring = [span("a", "b", 1), span("b", "a", 2), span("c", "missing", 3), span("d", "c", 5)]
    ring += [span("e", "c", 4), span("d", "c", 6), span("self", "self", 7)]
    rows = waterfall(Trace("t", ring), {})["spans"]
    assert len(rows) == len({row["id"] for row in rows}) == len(ring)
    assert next(row["placement"] for row in rows if row["id"] == "c") == "orphan"


def test_marks_of_a_comparison_reach_their_rows(make: SimpleNamespace) -> None:
    trace = make.trace(1, 2)
    marked = trace.spans[3].span_id
    data = waterfall(trace, make.views(trace), marks={marked: Mark("changed", "other arguments")})
    assert [row["mark"] for row in data["spans"] if "mark" in row] == [
        {"state": "changed", "note": "other arguments"}
    ]


def test_inert_json_reads_as_the_same_value() -> None:
    value = {"</script>": ["<!--", "&amp;", "\u2028\u2029", "é"]}
    assert orjson.loads(inert(value)) == value
    assert not re.search(rb"[<>&]|\xe2\x80[\xa8\xa9]", inert(value))


def test_keys_are_unique(make: SimpleNamespace) -> None:
    outcomes = [make.outcome(1)[0], make.outcome(1)[0], make.outcome(2)[0]]
    assert len(set(keys(outcomes))) == 3


def test_the_address_holds_filters_and_groups(make: SimpleNamespace, browse: Browse, tmp_path: Path) -> None:
    pairs = [make.outcome(number, status="failed" if number % 2 else "passed") for number in range(8)]
    report = write(tmp_path / "report.html", make, pairs)
    rows = re.findall(r'<tr class="(group )?is-(\w+)', body(browse(report, "#status=failed&group=cause")))
    assert [status for group, status in rows if not group] == ["failed"] * 4
    assert any(group for group, _ in rows), "a line above each cause"
    rows = re.findall(r'<tr class="(group )?is-(\w+)', body(browse(report, "#group=")))
    assert len(rows) == 8 and not any(group for group, _ in rows)
