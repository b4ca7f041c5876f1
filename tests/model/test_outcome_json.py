"""Outcomes and run records as JSON: nothing that an agent returned can cost one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.errors import InputError
from simulate.model import outcome_json
from simulate.model.outcome import Outcome, Reliability, RunRecord
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.model.verdict import Verdict


def outcome(**fields: Any) -> Outcome:
    talk = Conversation("c" * 32, utterances=[Utterance("caller", "Hi", 1, 0.0, 0.5, heard="High")])
    return Outcome("Refund", "python:a:b", "passed", talk, **fields)


def test_there_and_back() -> None:
    made = outcome(
        case="row 1",
        verdicts=[Verdict("called", "x", "failed", "y", "agent", 2, "ab", ["z"], score=0.5, threshold=0.8)],
        tool_uses=[ToolUse("lookup", {"id": "4417"}, {"total": 42.5}, turn=1, start=0.1, end=0.2)],
        measures={"turns": 3, "cost_usd": None, "model": "m"},
    )
    again = outcome_json.outcome_from_json(outcome_json.outcome_to_json(made))
    assert again == made


def test_a_run_there_and_back() -> None:
    run = RunRecord(
        "id", "2026-11-20T09:41:05Z", reliability=[Reliability("s", None, 4, 3, 2, 0.5, 0.1, 0.9)]
    )
    assert outcome_json.run_from_json(outcome_json.run_to_json(run)) == run


class Awkward:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_whatever_an_agent_returned_is_written() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    values = {"bytes": b"\xff", "set": {1}, "nan": float("nan"), "half": "\ud83d", "big": 2**80, 7: "int key",
              "awkward": Awkward(), "loop": loop, "class": Awkward, "tuple": (1, 2)}  # fmt: skip
    made = outcome(tool_uses=[ToolUse("t", {}, values)])
    result = outcome_json.outcome_from_json(outcome_json.outcome_to_json(made)).tool_uses[0].result
    assert result["bytes"] == "/w==" and result["nan"] is None and result["half"] == "\\ud83d"
    assert result["big"] == str(2**80) and result["7"] == "int key"
    assert result["awkward"] == "<Awkward whose repr raised RuntimeError>"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_any_value_is_written_and_read(value: Any) -> None:
    data = outcome_json.outcome_to_json(outcome(persona={"value": value}))
    assert "value" in outcome_json.outcome_from_json(data).persona


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{", "not JSON"),
        (b"[]", "not what Outcome looks like"),
        (b'{"scenario": "x"}', "agent: .*and 2 more"),
        (b'{"schema": 99}', "written in schema 99"),
    ],
)
def test_what_is_no_outcome_is_refused_with_its_place(data: bytes, told: str) -> None:
    with pytest.raises(InputError, match=f"(?s)runs/x:3: .*{told}"):
        outcome_json.outcome_from_json(data, where="runs/x:3")


def test_the_schemas_that_ship_are_current(tmp_path: Path) -> None:
    shipped = Path(outcome_json.__file__).parent / "schemas"
    for path in outcome_json.write_schemas(tmp_path):
        made, ours = path.read_bytes(), (shipped / path.name).read_bytes()
        if b'"description"' not in made:  # pydantic before 2.13 leaves the docstrings of dataclasses out
            made, ours = orjson.loads(made), _without_descriptions(orjson.loads(ours))
        assert made == ours, "outcome_json.write_schemas() mends it"


def _without_descriptions(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_descriptions(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_descriptions(value)
        for key, value in schema.items()
        if not (key == "description" and isinstance(value, str))
    }


def test_the_schema_describes_what_is_written() -> None:
    import jsonschema

    schema = orjson.loads(outcome_json.schema_of("outcome.schema.json"))
    data = outcome_json.outcome_to_dict(outcome(tool_uses=[ToolUse("t", {"a": 1}, [1, "x"])]))
    jsonschema.validate(data, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "status": "fine"}, schema)
    assert {field.name for field in dataclasses.fields(Outcome)} == set(schema["properties"])
