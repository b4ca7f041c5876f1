"""What a store keeps and finds again, in SQLite and in Postgres alike."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from sqlalchemy import func, select, text

from simulate.errors import InputError
from simulate.server.assembler import Assembler, put_away_all
from simulate.server.finishing import Finishing
from simulate.server.settings import SamplingSettings, ServerSettings
from simulate.server.store import Store, feedback
from simulate.server.store.find import Wanted, facets, find, one, trace_of
from simulate.server.store.incoming import put, score_row, span_row, waiting
from simulate.server.store.retention import expire, forget_user
from simulate.server.store.rollups import by_value, over_time, quantiles
from simulate.server.store.schema import contents, metadata, spans, tags, traces
from simulate.server.store.search import parse_search
from simulate.server.store.summary import HOUR
from simulate.trace.span import Event, Span

Make = Callable[..., list[Span]]


def keep(store: Store, *made: list[Span], project: str = "default") -> None:
    redactor = store.redactor()
    rows = [
        span_row(project, some[0].trace_id, [redactor.span(span) for span in some], time.time_ns())
        for some in made
    ]
    put(store, rows)
    put_away_all(store)


def found(store: Store, query: str = "", **more: object) -> list[int]:
    """The numbers of the traces found, newest first."""
    page = find(store, Wanted("default", parse_search(query, store.names), **more))
    assert not page.unseen
    return [int(row.trace_id, 16) for row in page.rows]


def test_a_trace_is_found_by_what_it_is_about(store: Store, make: Make) -> None:
    keep(store, make(1), make(2, user="u-8", prompt="v4", error=True), make(3, tokens=20_000, retrieved=True))
    assert found(store) == [3, 2, 1]
    assert found(store, "user=u-8") == [2]
    assert found(store, "prompt=v3") == [3, 1]
    assert found(store, "user!=u-8 tool=lookup_order") == [3, 1]
    assert found(store, "status=error") == found(store, "error") == [2]
    assert found(store, "trace.tokens>10000") == [3]
    assert found(store, "kind=RETRIEVER and output_tokens>10000") == [3]
    assert found(store, "kind=RETRIEVER output_tokens<10") == []
    assert found(store, "kind=TOOL name='execute_tool lookup_order' duration<1s") == [3, 2, 1]
    assert found(store, "gen_ai.tool.name=lookup_order error") == [2]
    assert found(store, "kind=LLM error") == []  # both of one span
    assert found(store, "!user=u-7") == [2]


def test_a_span_filter_finds_what_the_filter_itself_finds(store: Store, make: Make) -> None:
    """The database answers for the narrow rows alone; whatever it answers, the filter on the spans agrees."""
    from simulate.trace.filter import parse
    from simulate.trace.span import Trace

    made = [make(n, error=n % 3 == 0, tokens=n * 10, retrieved=n % 2 == 0) for n in range(1, 13)]
    keep(store, *made)
    queries = (
        "kind=TOOL error", "kind=LLM output_tokens>60", "kind=LLM,TOOL duration>1s", "!error", "kind=AGENT",
        "under:kind=AGENT error", "has_child:error", "output_tokens<50 kind=LLM",
        "kind=RETRIEVER output_tokens>70",
        "name~lookup error", "duration>900ms kind=LLM", "kind!=TOOL error",
        "request_model=gpt-4o-mini output_tokens>100",
    )  # fmt: skip
    for query in queries:
        expected = [n for n, some in enumerate(made, 1) if parse(query).find(Trace(some[0].trace_id, some))]
        assert sorted(found(store, query)) == expected, query


def test_words_are_found_and_never_obeyed(store: Store, make: Make) -> None:
    keep(store, make(1, words="Where is my red parcel?"), make(2, words="refund please"))
    assert found(store, text="parcel") == [1]
    assert found(store, text='"red parcel"') == [1]
    assert found(store, text='"parcel red"') == []
    assert found(store, text="parcel refund") == []
    for hostile in ('"', "parcel OR refund", "NEAR(", "text:x", "a' ; DROP TABLE traces --", "*", "!", "\0"):
        found(store, text=hostile)
    assert found(store, text="parcel OR refund") == []


def test_no_value_of_a_filter_is_sql(store: Store, make: Make) -> None:
    import shlex

    keep(store, make(1))
    for hostile in (
        "' OR 1=1 --",
        '"; DROP TABLE traces; --',
        "%",
        "_",
        "\\",
        "u' UNION SELECT 1",
        "\0",
        "\ud800",
    ):
        for word in ("user", "session", "prompt", "model", "trace", "feedback", "kind_of", "name"):
            assert found(store, shlex.quote(f"{word}={hostile}")) == [], word
        assert found(store, shlex.quote(f"user~{hostile}")) == []
        with pytest.raises(InputError):
            found(store, shlex.quote(f"trace.cost>{hostile}"))
    assert found(store) == [1]


def test_whatever_an_agent_says_can_be_kept(store: Store, make: Make) -> None:
    odd = make(1, user="u\0-7 \ud83d", words="nul \0, half an emoji \ud83d, \u202e and " + "x" * 5000)
    odd[0].name = "a name\0"
    keep(store, odd)
    assert found(store, text="emoji") == [1]
    (row,) = find(store, Wanted("default", parse_search(""))).rows
    assert len(trace_of(store, row)) == 3


def test_a_page_goes_on_where_the_one_before_ended(store: Store, make: Make) -> None:
    began = time.time_ns() - HOUR
    keep(store, *(make(n, began=began - n * 1000) for n in range(1, 8)))  # all at one moment
    seen: list[int] = []
    before = None
    while True:
        page = find(store, Wanted("default", parse_search(""), limit=3, before=before))
        seen += [int(row.trace_id, 16) for row in page.rows]
        before = page.next
        if before is None:
            break
    assert sorted(seen) == list(range(1, 8))
    assert len(seen) == 7


def test_a_span_that_comes_twice_or_late_stands_once_in_its_trace(store: Store, make: Make) -> None:
    root, llm, tool = make(1)
    keep(store, [root, llm])
    keep(store, [llm, tool])
    keep(store, [root, llm, tool])
    (row,) = find(store, Wanted("default", parse_search(""))).rows
    assert sorted(span.span_id for span in trace_of(store, row)) == sorted(each.span_id for each in make(1))
    hour = row.began_ns // HOUR
    assert over_time(store, "default", hour, hour)[hour]["traces"] == 1
    assert quantiles(store, "default", hour, hour, "seconds", (0.5,))[hour][0] == pytest.approx(2.0, rel=0.01)


def test_sums_count_what_sampling_dropped_and_pages_do_not_show_it(store: Store, make: Make) -> None:
    put(
        store,
        [
            span_row("default", some[0].trace_id, some, 1)
            for some in (make(n, error=n == 5) for n in range(1, 41))
        ],
    )
    put_away_all(store, Finishing(ServerSettings(keep=SamplingSettings(baseline=0.0))).finish)
    assert found(store) == [5]
    row = one(store, "default", f"{5:032x}")
    assert row is not None and row.why_kept == "error"
    hour = row.began_ns // HOUR
    assert over_time(store, "default", hour - 1, hour, step=10**6).popitem()[1]["traces"] == 40
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(contents)).scalar_one() == 1
        assert connection.execute(select(func.count()).select_from(traces)).scalar_one() == 40


def test_costs_are_summed_by_prompt_model_and_user_and_unknown_is_not_zero(store: Store, make: Make) -> None:
    unpriced = make(3, prompt="v9")
    unpriced[1].attributes["gen_ai.request.model"] = "a model that nobody sells"
    keep(store, make(1), make(2, user="u-8", prompt="v4", error=True), unpriced)
    hour = time.time_ns() // HOUR
    prompts = by_value(store, "default", hour - 1, hour, "prompt", 10)
    assert prompts["v3"]["priced"] == 1 and prompts["v3"]["dollars"] > 0
    assert prompts["v9"]["priced"] == 0
    assert prompts["v4"]["errors"] == 1
    assert by_value(store, "default", hour - 1, hour, "user", 10)["u-8"]["traces"] == 1


def test_a_score_that_comes_as_a_log_stands_on_its_span(store: Store, make: Make) -> None:
    keep(store, make(1))
    event = Event(
        "gen_ai.evaluation.result", 5,
        {
            "gen_ai.evaluation.name": "Groundedness", "gen_ai.evaluation.score.value": 0.4,
            "evaluator.score.threshold": 0.7,
        },
    )  # fmt: skip
    put(store, [score_row("default", f"{1:032x}", make(1)[1].span_id, event, time.time_ns())])
    put_away_all(store)
    assert found(store, "score.Groundedness<0.7") == [1]
    assert found(store, "score.Groundedness>0.7") == []
    row = one(store, "default", f"{1:032x}")
    assert row is not None and row.breached == 1


def test_feedback_finds_its_trace_by_trace_session_or_user_and_time(store: Store, make: Make) -> None:
    began = time.time_ns() - 2 * HOUR
    keep(
        store,
        make(1, began=began, user="anna@example.com"),
        make(2, began=began + HOUR, user="anna@example.com"),
    )

    def give(**words: object) -> str | None:
        return feedback.give(store, "default", feedback.Feedback("down", **words), store.names)

    soon = began + HOUR // 2
    assert give(user="anna@example.com", at_ns=soon) == f"{1:032x}"
    assert give(session="s-1") == f"{2:032x}"
    assert give(user="anna@example.com", at_ns=began - HOUR) is None
    assert give(trace_id=f"{3:032x}", comment="write to bob@example.com") is None
    assert give(session="s-4") is None
    assert give(user="u-5") is None
    assert give(user="u-6", at_ns=began - HOUR) is None  # said before it began
    # the traces came after what was said of them
    keep(store, make(3), make(4, session="s-4"), make(5, user="u-5"), make(6, user="u-6"))
    assert sorted(found(store, "feedback=down")) == [1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="does not say of what"):
        give()


def test_a_person_is_found_by_the_id_that_redaction_hid_and_forgotten(store: Store, make: Make) -> None:
    keep(store, make(1, user="anna@example.com"), make(2))
    put(store, [span_row("default", some[0].trace_id, some, 1) for some in [make(3, user="u-7")]])
    put_away_all(store, Finishing(ServerSettings(keep=SamplingSettings(baseline=0.0))).finish)
    assert found(store, "user=anna@example.com") == [1]
    assert _everything(store).count("anna") == 0
    assert forget_user(store, "anna@example.com", store.names) == 1
    assert forget_user(store, "u-7", store.names) == 2
    assert found(store) == []
    assert "u-7" not in _everything(store)
    hour = time.time_ns() // HOUR
    assert over_time(store, "default", hour - 1, hour, step=10**6).popitem()[1]["traces"] == 3


def _everything(store: Store) -> str:
    """Every value in every table, spans unpacked."""
    from simulate.server.store.incoming import unpacked

    told: list[str] = []
    with store.read() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                told += [
                    repr(unpacked(value)) if table is contents and isinstance(value, bytes) else repr(value)
                    for value in row
                ]
        told += [str(row) for row in connection.execute(text("SELECT text FROM words"))]
    return "\n".join(told)


def test_old_traces_go_and_their_sums_stay(store: Store, make: Make) -> None:
    now = time.time_ns()
    keep(store, make(1, began=now - 40 * 24 * HOUR), make(2, began=now - HOUR), make(3))
    assert expire(store, 30, None) == 1
    assert found(store) == [3, 2]
    with store.read() as connection:
        size = connection.execute(select(traces.c.bytes)).scalars().first()
    assert size
    assert expire(store, None, int(size * 1.5)) == 1
    assert found(store) == [3]
    with store.read() as connection:
        for table in (spans, tags):
            assert connection.execute(select(func.count(table.c.trace.distinct()))).scalar_one() == 1
    hour = now // HOUR
    assert sum(each["traces"] for each in over_time(store, "default", hour - 24 * 60, hour).values()) == 3


def test_projects_do_not_see_each_other(store: Store, make: Make) -> None:
    keep(store, make(1), project="one")
    assert found(store) == []
    assert one(store, "default", f"{1:032x}") is None
    assert facets(store, Wanted("default", parse_search(""))) == {}
    keep(store, make(1))  # the same trace id in another project is another trace
    assert found(store) == [1]


def test_a_trace_that_cannot_be_put_away_stops_no_other(store: Store, make: Make) -> None:
    put(store, [span_row("default", some[0].trace_id, some, 1) for some in (make(1), make(2), make(3))])

    def finish(project: str, trace: object) -> object:
        if getattr(trace, "trace_id", "") == f"{2:032x}":
            raise ValueError("an evaluator's fault")
        from simulate.server.store.seal import keep_all

        return keep_all(project, trace)  # type: ignore[arg-type]

    assembler = Assembler(store, finish)  # type: ignore[arg-type]
    assembler.step(everything=True)
    assert found(store) == [3, 1]
    assert list(assembler.failed.values()) == ["ValueError: an evaluator's fault"]
    assert [each.trace_id for each in waiting(store)] == [f"{2:032x}"]


def test_facets_count_the_traces_that_were_found(store: Store, make: Make) -> None:
    keep(store, make(1), make(2), make(3, user="u-8"))
    counts = facets(store, Wanted("default", parse_search("")))
    assert counts["user"] == [("u-7", 2), ("u-8", 1)]
    assert facets(store, Wanted("default", parse_search("user=u-8")))["user"] == [("u-8", 1)]


def test_few_and_many_are_found_alike(store: Store, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(
        store,
        make(1), make(2, error=True, retrieved=True), make(3, user="u-8", error=True, tokens=12_000),
        make(4, user="u-8", prompt="v4"),
    )  # fmt: skip
    put(store, [span_row("other", f"{5:032x}", make(5, error=True), 1)])
    put_away_all(store)
    queries = (
        "user=u-8", "user=u-8 error", "prompt=v3 user=u-7", "kind=TOOL error", "error tool=lookup_order",
        "kind=LLM output_tokens>10000", "!user=u-8", "user!=u-8 prompt=v3", "user=nobody",
        "user=u-8 user=u-7",
    )  # fmt: skip
    named = [found(store, query) for query in queries]
    monkeypatch.setattr("simulate.server.store.find.FEW", 0)
    assert [found(store, query) for query in queries] == named
    assert named == [[4, 3], [3], [2, 1], [3, 2], [3, 2], [3], [2, 1], [2, 1], [], []]
