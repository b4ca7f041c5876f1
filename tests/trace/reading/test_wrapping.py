"""What frameworks wrap round a tool's arguments and result is taken off; what only looks like it is left."""

# ruff: noqa: E501 - rows of data
from __future__ import annotations

import json
from typing import Any

import pytest

from simulate.trace.reading import TraceReading, Unknown, view
from simulate.trace.reading.messages import outgoing
from simulate.trace.reading.parts import not_a_schema
from simulate.trace.reading.wrapping import arguments
from simulate.trace.span import Event, Kind, Span, Trace, View
from tests.trace.reading.conftest import MS, START, Story

ORDER = {"order_id": "4711"}
FOUND = {"order_id": "4711", "status": "shipped"}


def span(
    at: int, attributes: dict[str, Any], name: str = "step", parent: int | None = None, **more: Any
) -> Span:
    start = START + at * 10 * MS
    above = None if parent is None else f"{parent:016x}"
    return Span("a" * 32, f"{at:016x}", name, above, start, start + 5 * MS, attributes, **more)


def read(*spans: Span) -> TraceReading:
    return TraceReading(Trace("a" * 32, list(spans)))


def tool(**attributes: Any) -> View:
    return view(span(1, attributes, "get_order"))


WRAPPED: dict[str, Any] = {
    "decorator": {"args": [], "kwargs": ORDER},
    "keywords alone": {"kwargs": ORDER},
    "LangChain": {
        "input_str": "{'order_id': '4711'}",
        "inputs": ORDER,
        "tags": [],
        "metadata": {},
        "kwargs": {},
    },
    "LangChain without inputs": {"input_str": "{'order_id': '4711'}", "tags": []},
    "LangChain JS": {"args": ['{"order_id": "4711"}']},
    "smolagents": {"args": [], "sanitize_inputs_outputs": True, "kwargs": ORDER},
    "smolagents, spread": {"args": {}, "sanitize_inputs_outputs": True, **ORDER},
    "BeeAI": {"input": ORDER, "options": None},
    "CrewAI": {
        "args": [],
        "tool_string": "…",
        "tool": {"name": "get_order"},
        "calling": {"tool_name": "get_order", "arguments": ORDER},
    },
    "MCP": {"tool_name": "get_order", "arguments": ORDER},
    "MCP's request": {"method": "tools/call", "params": {"name": "get_order", "arguments": ORDER}},
    "AG2": {"name": "get_order", "arguments": '{"order_id": "4711"}'},
}


@pytest.mark.parametrize("shape", WRAPPED)
def test_arguments_are_unwrapped_in_every_dialect(shape: str) -> None:
    written = json.dumps(WRAPPED[shape])
    for attributes in (
        {"openinference.span.kind": "TOOL", "input.value": written},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.arguments": written},
        {"traceloop.span.kind": "tool", "traceloop.entity.input": written},
        {"langfuse.observation.type": "tool", "langfuse.observation.input": written},
    ):
        assert tool(**attributes).tool_arguments == ORDER


@pytest.mark.parametrize(
    "value",
    [
        {"input": "x", "options": None},
        {"tool_name": "another", "arguments": ORDER},
        {"args": ["4711"], "kwargs": {}},
        {"args": ["a", "b"]},
        {"kwargs": ORDER, "more": 1},
        {"input": ORDER},
        "text",
    ],
)
def test_arguments_that_are_the_tool_s_own_stay(value: Any) -> None:
    assert arguments(value, "get_order") == value


@pytest.mark.parametrize(
    ("written", "result", "error"),
    [
        ([{"type": "text", "text": json.dumps(FOUND)}], FOUND, None),
        ([{"text": json.dumps(FOUND)}], FOUND, None),
        ({"id": "c", "name": "get_order", "response": FOUND}, FOUND, None),
        ({"blocks": [], "tool_name": "get_order", "raw_input": {}, "raw_output": FOUND, "is_error": False}, FOUND, None),
        ({"_value": "shipped"}, "shipped", None),
        ([True, {"role": "function", "content": str(FOUND)}], FOUND, None),
        ([False, {"role": "function", "content": "gone"}], "gone", "gone"),
        (f"status='success' result={FOUND!r} error=None updated_session_state=None images=None", FOUND, None),
        ("status='failure' result=None error='gone' updated_session_state=None images=None", "gone", "gone"),
        ("\nI encountered an error while trying to use the tool. This was the error: gone.\n Tool x accepts …", "gone", "gone"),
        ({"isError": True, "content": [{"type": "text", "text": "gone"}]}, "gone", "gone"),
        ({"isError": False, "content": [{"type": "text", "text": json.dumps(FOUND)}]}, FOUND, None),
        ({"output": "shipped", "kwargs": {"tags": []}}, "shipped", None),
        ({"name": "Ann", "response": "yes"}, {"name": "Ann", "response": "yes"}, None),
        ([True, "x"], [True, "x"], None),
        ("plain words", "plain words", None),
    ],
)  # fmt: skip
def test_results_are_unwrapped_and_failures_told(written: Any, result: Any, error: str | None) -> None:
    value = written if isinstance(written, str) else json.dumps(written)
    for attributes in (
        {"openinference.span.kind": "TOOL", "output.value": value},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.result": value},
        {"fi.span.kind": "TOOL", "output.value": value},
    ):
        found = tool(**attributes)
        assert (found.tool_result, found.error) == (result, error)


@pytest.mark.parametrize("result", ["shipped", [FOUND, FOUND], FOUND])
def test_langsmith_writes_any_result_as_an_output(result: Any) -> None:
    written = {"langsmith.span.kind": "tool", "gen_ai.completion": json.dumps({"output": result})}
    assert tool(**written).tool_result == result


def test_a_wrapping_that_was_cut_off_tells_no_result() -> None:
    cut = '{"output": {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "ToolMess'
    (call,) = read(span(1, {"openinference.span.kind": "TOOL", "output.value": cut}, "get_order")).tool_calls
    assert isinstance(call.result, Unknown)


@pytest.mark.parametrize(
    ("value", "is_schema"),
    [
        ({"type": "object", "properties": {"order_id": {"type": "string"}}}, True),
        ({"order_id": {"type": "string", "description": "Which order."}}, True),
        ({"order_id": "str", "count": "int"}, True),
        ({"order_id": "4711"}, False),
        ({"order_id": "str", "count": 3}, False),
        ({"filter": {"type": "shipped"}}, False),
        ({}, False),
    ],
)
def test_a_schema_is_not_taken_for_arguments(value: Any, is_schema: bool) -> None:
    assert not_a_schema(json.dumps(value)) == (None if is_schema else value)


def test_positional_values_are_the_arguments_asked_for_only_where_they_are_the_same(story: Story) -> None:
    for given in ("4711", "4712"):
        story.chat(("get_order", "c" + given, {"order_id": "4711"}))
        story.tool("get_order", "c" + given, {"args": [given], "kwargs": {}})
    same, other = story.read().tool_calls
    assert same.arguments == ORDER and not same.differs
    assert other.arguments == {"order_id": "4712"} and other.differs


def test_a_tool_that_calls_itself_after_it_failed_ran_twice() -> None:
    attributes = {"openinference.span.kind": "TOOL", "input.value": json.dumps(ORDER)}
    failed: dict[str, Any] = {"status": "error", "status_message": "gone"}
    outer, inner = (
        span(1, attributes, "get_order", **failed),
        span(2, attributes, "get_order", parent=1, **failed),
    )
    assert len(read(outer, inner).tool_calls) == 2
    assert len(read(outer, span(2, attributes, "get_order", parent=1)).tool_calls) == 1
    deeper = {**attributes, "input.value": json.dumps({"order_id": "4712"})}
    assert len(read(span(1, attributes, "get_order"), span(2, deeper, "get_order", parent=1)).tool_calls) == 2


def test_an_exception_alone_fails_what_came_to_nothing() -> None:
    events = [Event("exception", START, {"exception.message": "gone"})]
    execute = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_order"}
    assert view(span(1, execute, events=events)).error == "gone"
    assert view(span(1, {**execute, "gen_ai.tool.call.result": "ok"}, events=events)).error is None
    assert view(span(1, execute, events=events, status="ok")).error is None


# -- model calls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "provider"),
    [("openai.responses", "openai"), ("openai.chat", "openai"), ("aws.bedrock", "aws.bedrock"), ("langchain", None), ("Strands-Agents", None)],
)  # fmt: skip
def test_a_provider_is_who_serves_the_model(written: str, provider: str | None) -> None:
    found = view(span(1, {"gen_ai.operation.name": "chat", "gen_ai.provider.name": written}))
    assert found.provider == provider


def test_another_name_is_taken_where_the_provider_s_is_a_framework_s() -> None:
    found = view(
        span(1, {"gen_ai.operation.name": "chat", "gen_ai.system": "langchain", "ls_provider": "openai"})
    )
    assert found.provider == "openai"


def test_a_call_below_another_that_had_ended_is_its_own_where_the_model_differs() -> None:
    chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    strange = span(3, {**chat, "gen_ai.request.model": "no-such-model"}, parent=1)
    assert len(read(span(1, chat), strange).llm_calls) == 2
    assert len(read(span(1, chat), span(3, chat, parent=1)).llm_calls) == 1


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(350, 0.35), (3576.5, 3.5765), (0.003, 0.003), (0.3, 0.3), (0, 0), (2, 0.002)],
    ids=["milliseconds", "with a fraction", "seconds", "after the span of a stream", "at once", "a few"],
)
def test_the_first_token_s_time_is_in_seconds(written: float, seconds: float) -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.server.time_to_first_token": written}
    assert view(span(1, attributes)).time_to_first_token == pytest.approx(seconds)  # the span lasts 5 ms


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ("ChatError(x): Chat failed\nNotFound: no such model", None),
        ("Sorry: Chat failed", "Sorry: Chat failed"),
    ],
)
def test_the_text_of_an_error_is_no_answer(told: str, answer: str | None) -> None:
    attributes = {"openinference.span.kind": "LLM", "output.value": told}
    found = view(span(1, attributes, status="error", status_message="Chat failed"))
    assert (found.output[0].text if found.output else None) == answer
    assert found.error == ("Chat failed" if answer else told)


def test_one_embedding_told_by_two_spans_is_paid_once() -> None:
    attributes = {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "text-embedding-3-small"}
    counted = {**attributes, "llm.token_count.prompt": 1_000_000}
    reading = read(span(1, counted), span(2, counted, parent=1))
    assert len(reading.embeddings) == 1 and reading.cost.tokens == 1_000_000
    assert reading.cost.dollars == pytest.approx(0.02)


def test_a_response_in_a_list_is_what_it_says() -> None:
    response = {
        "object": "response",
        "output": [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}
        ],
    }
    found = outgoing(json.dumps([response]))
    assert found is not None and [one.text for one in found] == ["Yes."]


def test_structured_answers_are_no_tools_of_the_agent() -> None:
    ask = {
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "Order",
        "openinference.span.kind": "LLM",
    }
    wrapper = span(
        1,
        {"openinference.span.kind": "TOOL"},
        "instructor.create",
        scope="openinference.instrumentation.instructor",
    )
    assert read(wrapper, span(2, ask, parent=1)).tool_calls == []
    assert [call.name for call in read(span(2, ask)).tool_calls] == ["Order"]


def test_litellm_s_fallback_names_what_it_took_over_from() -> None:
    def request(at: int, group: str, tries: int, **more: Any) -> Span:
        hidden = json.dumps({"additional_headers": {"x-litellm-attempted-fallbacks": tries}})
        return span(
            at,
            {"litellm.model_group": group, "hidden_params": hidden},
            "litellm_request",
            1,
            scope="litellm",
            **more,
        )

    failed = request(2, "shaky", 0, status="error")
    for tries, expected in ((1, ("shaky", "main")), (0, ("main", None))):
        reading = read(span(1, {}), failed, request(3, "main", tries))
        gateway = reading.llm_calls[-1][1].gateway
        assert (gateway["original_target"], gateway.get("fallback")) == expected


def sql(statement: str, system: str = "postgresql") -> dict[str, Any]:
    return {"db.system": system, "db.statement": statement}


# -- searches --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "is_search"),
    [
        ({"db.system": "qdrant", "db.operation.name": "query_points"}, True),
        ({"db.system.name": "weaviate", "db.operation.name": "hybrid"}, True),
        (
            {"db.system": "postgresql", "db.vector.query.type": "similarity", "db.operation.name": "select"},
            True,
        ),
        (
            {
                "db.system": "mongodb",
                "db.operation.name": "aggregate",
                "db.vector.query.type": "vector_search",
            },
            True,
        ),
        ({"db.system": "redis", "redis.search.query": "*"}, True),
        (sql("SELECT id, text FROM policies ORDER BY embedding <=> %s LIMIT 5"), True),
        (sql("WITH near AS (SELECT id FROM d ORDER BY v <-> '[1,2]'::vector) SELECT * FROM near"), True),
        (sql("SELECT text, (embedding <#> $1) * -1 AS score FROM policies"), True),
        (sql("SELECT text FROM p ORDER BY cosine_distance(embedding, %s)"), True),
        (sql("SELECT text FROM p ORDER BY VEC_DISTANCE_COSINE(e, ?)", "mariadb"), True),
        ({"db.system": "mongodb", "db.statement": 'aggregate [{"$vectorSearch": {"limit": 2}}]'}, True),
        (sql("INSERT INTO best SELECT id FROM policies ORDER BY embedding <=> %s"), False),
        (sql("WITH n AS (SELECT 1) DELETE FROM policies WHERE embedding <=> %s < 0.1"), False),
        (sql("INSERT INTO policies VALUES (1, %s) ON CONFLICT DO UPDATE SET embedding = %s"), False),
        (sql("CREATE INDEX ON policies USING hnsw (embedding vector_cosine_ops)"), False),
        (sql("SELECT id FROM shops ORDER BY place <-> point '(1,2)'"), False),
        (sql("SELECT id FROM posts WHERE words @@ to_tsquery('vector <-> store')"), False),
        (sql("SELECT id FROM users WHERE name <=> 'Ann'", "mysql"), False),
        (sql("SELECT embedding FROM policies WHERE id = 7"), False),
        ({"db.system": "qdrant", "db.operation.name": "upsert"}, False),
        ({"db.system": "elasticsearch", "db.operation.name": "delete_by_query"}, False),
        ({"db.system": "lancedb", "db.operation.name": "delete", "db.vector.query.filter": "id = 1"}, False),
        ({"db.system": "postgresql", "db.operation.name": "SELECT", "db.query.text": "select 1"}, False),
        ({"db.system": "redis", "db.statement": "GET search"}, False),
    ],
)
def test_searches_of_vector_stores_are_told_from_writes(attributes: dict[str, Any], is_search: bool) -> None:
    assert view(span(1, attributes)).kind is (Kind.RETRIEVER if is_search else Kind.CHAIN)


@pytest.mark.parametrize(
    ("name", "is_search"),
    [
        ("chroma.query", True),
        ("chroma.get", True),
        ("Chroma.similarity_search", True),
        ("QdrantVectorStore.asimilarity_search_with_score", True),
        ("SegmentAPI._query", True),
        ("chroma.upsert", False),
        ("chroma.get_collection", False),
        ("Chroma.add_documents", False),
        ("SegmentAPI._upsert", False),
        ("search_and_answer", False),
    ],
)
@pytest.mark.parametrize(
    "kind", [{"openinference.span.kind": "CHAIN"}, {"traceloop.span.kind": "task"}, {"fi.span.kind": "CHAIN"}]
)
def test_a_step_with_the_name_of_a_store_s_search_is_a_search(
    name: str, is_search: bool, kind: dict[str, Any]
) -> None:
    assert view(span(1, kind, name)).kind is (Kind.RETRIEVER if is_search else Kind.CHAIN)


def test_what_a_store_found_stands_in_events_or_lists() -> None:
    event = Event(
        "db.query.result",
        START,
        {
            "db.query.result.id": "p1",
            "db.query.result.score": 0.9,
            "db.query.result.metadata": "{'text': 'Refunds.'}",
        },
    )
    told = view(span(1, {"db.system": "pinecone", "db.operation": "query"}, events=[event]))
    assert told.documents == [{"id": "p1", "content": "Refunds.", "score": 0.9}]
    listed = {
        "db.system": "qdrant",
        "db.operation.name": "query",
        "db.vector.results.ids": ["p1", "p2"],
        "db.vector.results.scores": [0.9, 0.5],
    }
    assert view(span(1, listed)).documents == [{"id": "p1", "score": 0.9}, {"id": "p2", "score": 0.5}]
    distances = {**listed, "db.system": "chroma"}
    assert view(span(1, distances)).documents == [{"id": "p1"}, {"id": "p2"}]


def test_a_score_in_the_metadata_is_the_document_s_and_one_beside_it_goes_first() -> None:
    rows = [
        {"page_content": "a", "metadata": {"score": 0.5}},
        {"page_content": "b", "score": 0.7, "metadata": {"score": 0.1}},
    ]
    found = view(
        span(1, {"openinference.span.kind": "RETRIEVER", "output.value": json.dumps({"documents": rows})})
    )
    assert [one.get("score") for one in found.documents or ()] == [0.5, 0.7]


def test_who_hands_over_is_the_agent_around_where_the_span_does_not_say() -> None:
    agent = span(1, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "shop"})
    (handoff,) = read(
        agent, span(2, {"fi.span.kind": "TOOL", "input.value": "{}"}, "handoff to billing", 1)
    ).handoffs
    assert (handoff.from_, handoff.to) == ("shop", "billing")
