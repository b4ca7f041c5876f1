"""The JSON schemas that editors use agree with the models, word by word."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import simulate
from simulate.errors import FileProblems
from simulate.interfaces.cli.schema import schema_text
from simulate.model.base import WORDS, Expectation
from simulate.model.expect import VOICE_WORDS
from simulate.model.loading.schema import KINDS, Kind, file_name, json_schema
from simulate.model.loading.yaml_reader import read_documents
from simulate.scenario_files import load_scenarios

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = Path(simulate.__file__).parent / "model" / "schemas"

# each word at its simplest, then with all that it may carry
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "called": [
        {"called": "x"},
        {"called": "x", "with": {"a": {"one_of": [1, "b"]}, "n": None}, "exactly": True, "times": 2},
        {"called": "x", "times": {"at_least": 1, "at_most": 3}, "before": "y", "after": "z", "in_turn": 0},
    ],
    "not_called": [
        {"not_called": "x"},
        {"not_called": "x", "returned": {"$.a": 1}},
        {"not_called": "x", "with": {"a": {"any": True}}},
    ],
    "said": [
        {"said": "that it is late"},
        {"said": {"contains": "a", "matches": "b+", "means": "c"}, "in_turn": 2},
        {
            "said": {"amount": {"any": True}, "currency": "EUR", "json": {"a": 1}},
            "whenever": {"contains": "x"},
        },
    ],
    "not_said": [{"not_said": "sorry"}, {"not_said": {"matches": r"\d{16}"}}],
    "complete": [{"complete": True}, {"complete": False}],
    "backs_claims": [{"backs_claims": True}],
    "clean_text": [{"clean_text": True}, {"clean_text": True, "markup": False}],
    "snapshot": [
        {"snapshot": "a.yaml"},
        {"snapshot": "a.yaml", "of": "transcript", "ignore": ["$[*].with.note"]},
    ],
    "state": [
        {"state": {"orders.4417.refunded": True}},
        {"state": {"$.mails[*].to": {"one_of": ["a", "b"]}}, "nothing_else_changed": True},
    ],
    "ended_by": [{"ended_by": "agent"}],
    "replied_within": [
        {"replied_within": "1500ms"},
        {"replied_within": "2s", "percentile": 95, "in_turn": 1},
    ],
    "only_writes": [
        {"only_writes": []},
        {"only_writes": [{"name": "y", "arguments": {"a": {"about": 1}}}], "in_order": True},
    ],
    "cost_below": [{"cost_below": 0.05}, {"cost_below": 1}],
    "tokens_below": [{"tokens_below": 5000}],
    "span": [{"span": {"kind": "TOOL"}}, {"span": {"name": "x"}, "times": {"at_most": 4}}],
    "python": [{"python": "my.checks:polite"}, {"python": "m:C.f", "args": {"a": [1, {"b": 2}]}}],
    "scores": [{"scores": {"Groundedness": 0.8, "TaskCompletion": 1}}],
    "matches_trace": [
        {"matches_trace": "t.json"},
        {"matches_trace": "t.json", "ignore": ["a.b"], "tolerance": {"tokens": 0.5}},
    ],
    "stops_within": [{"stops_within": "500ms"}],
    "ignores_backchannel": [{"ignores_backchannel": True}],
    "ignores_vocal_tics": [{"ignores_vocal_tics": True}],
    "ignores_asides": [{"ignores_asides": True}],
    "ignores_hold_music": [{"ignores_hold_music": True}],
    "ignores_background": [{"ignores_background": True}],
    "lets_caller_finish": [{"lets_caller_finish": True}],
    "no_dead_air": [{"no_dead_air": "3s"}],
    "talk_ratio": [{"talk_ratio": {"at_most": 0.7}}, {"talk_ratio": {"at_least": 0.2, "at_most": 1}}],
    "heard": [{"heard": "4417"}, {"heard": "yes", "in_turn": 1}],
    "dtmf": [{"dtmf": "12#"}],
}
ITEMS = [(word, item) for word, items in EXAMPLES.items() for item in items]


def valid(kind: Kind, value: Any) -> bool:
    return jsonschema.Draft202012Validator(json_schema(kind)).is_valid(value)


def test_every_word_has_an_example() -> None:
    assert EXAMPLES.keys() == WORDS.keys()


@pytest.mark.parametrize(("word", "item"), ITEMS)
def test_every_word_goes_from_yaml_to_the_model_and_back(
    word: str, item: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "t.json").touch()
    medium = "voice" if word in VOICE_WORDS else "text"
    scenario = {"name": "x", "goal": "g", "medium": medium, "expect": [item]}
    assert valid("scenario", scenario)

    (tmp_path / "s.yaml").write_text(yaml.safe_dump(scenario), "utf-8")
    (loaded,) = load_scenarios([tmp_path / "s.yaml"])
    (read,) = loaded.scenario.expect
    assert type(read) is WORDS[word]
    written = read.model_dump(by_alias=True, exclude_unset=True)
    for key, given in item.items():
        if key != "matches_trace" and not str(given).endswith("s"):
            assert written[key] == given
    assert written.keys() == item.keys()


@pytest.mark.parametrize("word", WORDS)
def test_a_wrong_modifier_is_refused_by_both(word: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").touch()
    item = {**EXAMPLES[word][0], "no_such_key": 1}
    scenario = {"name": "x", "goal": "g", "medium": "voice", "expect": [item]}
    assert not valid("scenario", scenario)
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(scenario), "utf-8")
    with pytest.raises(FileProblems, match='unknown key "no_such_key"'):
        load_scenarios([tmp_path / "s.yaml"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_schema_is_current(kind: Kind) -> None:
    """`simulate schema --write simulate/model/schemas` brings it up to date."""
    assert (SHIPPED / file_name(kind)).read_text("utf-8") == schema_text(kind)
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(kind)))


@pytest.mark.parametrize(("kind", "folder"), [("scenario", "scenarios"), ("persona", "personas")])
def test_every_example_fits_the_schema(kind: Kind, folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.yaml"))
    assert files
    for file in files:
        for document in read_documents(file.read_bytes(), str(file)):
            assert valid(kind, document.value), file


@pytest.mark.parametrize(
    "value",
    [
        {"name": "x", "goal": "g", "trials": "4"},
        {"name": "x", "gaol": "g"},
        {"goal": "g"},
        {"name": "x", "goal": "g", "expect": [{"caled": "y"}]},
        {"name": "x", "goal": "g", "limits": {"time": 90}},
        {"name": "x", "goal": "g", "limits": {"time": "90"}},
        {"name": "x", "goal": "g", "medium": "smoke"},
        {"name": "x", "goal": "g", "expect": [{"called": "a", "said": "b"}]},
    ],
)
def test_what_the_models_refuse_an_editor_underlines(value: dict[str, Any]) -> None:
    assert not valid("scenario", value)


def test_text_may_look_like_a_number_and_a_number_may_be_a_placeholder() -> None:
    value = {"name": 4417, "goal": True, "trials": "{{n}}", "limits": {"time": "{{t}}", "cost": "{{c}}"}}
    assert valid("scenario", {**value, "cases": [{"n": 1, "t": "1s", "c": 0.5}]})


def test_every_field_is_described() -> None:
    made = json_schema("scenario")
    own = {"Scenario": made, **made["$defs"]}
    words = {cls.__name__ for cls in WORDS.values()}
    bare = [
        f"{name}.{key}"
        for name in ("Scenario", "Persona", "Line", "When", "ToolPin", "ToolCase", "Limits")
        for key, form in own[name]["properties"].items()
        if "description" not in form and key not in ("verbosity", "pace", "typos", "emoji", "slang")
    ]
    assert bare == []
    assert all(own[name]["description"] for name in words)
    assert Expectation.__doc__ not in {own[name]["description"] for name in words}
