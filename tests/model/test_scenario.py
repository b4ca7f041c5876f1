"""The models, as a person meets them from Python."""

import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from simulate.model.expect import Called, RepliedWithin, Said, Text, Times
from simulate.model.persona import Persona
from simulate.model.scenario import Line, Scenario, When
from simulate.model.tool_pin import ToolPin
from simulate.model.units import seconds


def scenario(**given: Any) -> Scenario:
    return Scenario(**{"name": "n", "goal": "g", **given})


def complaint(**given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        scenario(**given)
    return str(caught.value)


def test_plain_arguments_make_a_scenario() -> None:
    made = Scenario(
        name="Refund",
        goal="Money back",
        persona={"name": "Dana", "speaks": {"pace": "fast"}},
        script=[{"says": "Hello", "when": {"said": "hi"}, "waits": 0.5}],
        expect=[{"called": "x", "with": {"a": 1}, "times": {"at_most": 2}}, {"replied_within": "1500ms"}],
        limits={"time": 30.0},
        tools={"lookup": {"status": "lost"}},
    )
    assert made.persona == Persona(name="Dana", speaks={"pace": "fast"})
    assert made.script == [Line(says="Hello", when=When(said="hi"), waits=0.5)]
    assert made.expect == [
        Called(called="x", with_={"a": 1}, times=Times(at_most=2)),
        RepliedWithin(replied_within=1.5),
    ]
    assert made.limits.time == 30.0
    assert made.tools == {"lookup": ToolPin(returns={"status": "lost"})}


def test_expectations_may_be_objects() -> None:
    said = Said(said=Text(contains="x"))
    assert scenario(expect=[said]).expect == [said]


def test_a_scenario_is_made_again_from_its_own_dump() -> None:
    made = scenario(
        tools={"a": {"returns": {}}, "b": {"sequence": [1, {"error": "x"}]}, "c": {"delay": "1s"}},
        expect=[{"said": {"matches": "a+"}}, {"called": "x", "with": {"y": 1}}],
        limits={"reply": "2s"},
    )
    assert Scenario.model_validate(made.model_dump(by_alias=True, exclude_unset=True)) == made
    assert Scenario.model_validate_json(made.model_dump_json(by_alias=True, exclude_unset=True)) == made


@pytest.mark.parametrize(
    ("text", "value"),
    [("250ms", 0.25), ("1.5s", 1.5), ("2m", 120.0), ("1h", 3600.0), (" 3 s ", 3.0), (0.5, 0.5)],
)
def test_durations(text: str | float, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["5", 5, "1.5", "5 min", "-1s", "", None, True, [1], "999999h", float("nan"), "1e3s"]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("value", "pin"),
    [
        ({"status": "lost", "total": 42.5}, ToolPin(returns={"status": "lost", "total": 42.5})),
        ({}, ToolPin(returns={})),
        ("ok", ToolPin(returns="ok")),
        (None, ToolPin(returns=None)),
        ([1, 2], ToolPin(returns=[1, 2])),
        ({"error": "down", "code": 5}, ToolPin(returns={"error": "down", "code": 5})),
        ({"error": "down"}, ToolPin(error="down")),
        ({"returns": {"error": "down"}}, ToolPin(returns={"error": "down"})),
        ({"returns": 1, "delay": "250ms"}, ToolPin(returns=1, delay=0.25)),
        ({"sequence": [1, {"error": "x"}, {"a": 1}]}, ToolPin(sequence=[1, ToolPin(error="x"), {"a": 1}])),
    ],
)
def test_a_pin_is_an_answer_unless_it_says_otherwise(value: Any, pin: ToolPin) -> None:
    assert scenario(tools={"t": value}).tools["t"] == pin


def test_cases_of_a_pin() -> None:
    pin = scenario(tools={"t": {"cases": [{"when": {"id": 1}, "returns": "a"}], "returns": "b"}}).tools["t"]
    assert pin.cases is not None and pin.cases[0].when == {"id": 1} and pin.returns == "b"


def test_a_delay_alone_leaves_the_tool_alive() -> None:
    tools = scenario(tools={"a": {"delay": "1s"}, "b": {"returns": None}, "c": None}).tools
    assert [pin.live for pin in tools.values()] == [True, False, False]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"goal": None}, "the caller has nothing to say"),
        ({"expect": [{"heard": "x"}]}, '"heard" is heard, not read'),
        ({"expect": [{"called": "x", "said": "y"}]}, "expect.0"),
        ({"expect": [{"called": "x", "times": {"at_least": 3, "at_most": 2}}]}, "at_most: 2 is below"),
        ({"expect": [{"called": "x", "with": {"a": {"matches": "("}}}]}, "is not a regular expression"),
        ({"expect": [{"said": {"matches": "("}}]}, "not a regular expression"),
        ({"expect": [{"said": {}}]}, "holds nothing"),
        ({"expect": [{"replied_within": 5}]}, "a duration needs a unit"),
        ({"expect": [{"python": "no colon"}]}, "pattern"),
        ({"expect": [{"cost_below": float("inf")}]}, "finite"),
        ({"script": [{"says": "x", "hangs_up": True}]}, "does says and hangs_up"),
        ({"script": [{}]}, "this one does nothing"),
        ({"script": [{"says": "x", "when": {}}]}, "waits for nothing"),
        ({"script": [{"says": "Well …", "pauses": "1s"}]}, "pauses: needs says"),
        ({"script": [{"backchannel": "Mhm", "pauses": "1s"}]}, "pauses: needs says"),
        (
            {"script": [{"says": "x", "interrupts_after": "1s", "interrupts_when": "y"}]},
            "has either interrupts_after",
        ),
        ({"tools": {"t": {"error": "x", "returns": 1}}}, "more than one way"),
        ({"tools": {"t": {"sequence": []}}}, "an empty list answers nothing"),
        ({"trials": "4"}, "valid integer"),
        ({"trials": True}, "valid integer"),
        ({"trials": 0}, "greater than or equal to 1"),
        ({"persona": {"locale": "en_SU"}}, "no locale"),
        ({"cases": [{"a": 1}]}, "make a Scenario of each row"),
        ({"gaol": "x"}, "gaol"),
        ({"name": ""}, "between 1 and 300 characters"),
    ],
)
def test_refused(given: dict[str, Any], told: str) -> None:
    assert told in complaint(**given)


def test_voice_words_are_for_voice() -> None:
    expect: list[Any] = [
        {"heard": "x"},
        {"dtmf": "12#"},
        {"stops_within": "1s"},
        {"ignores_backchannel": True},
    ]
    expect += [{"no_dead_air": "3s"}, {"talk_ratio": {"at_most": 0.7}}]
    assert len(scenario(medium="voice", expect=expect).expect) == 6


def test_how_a_line_is_said_is_for_both() -> None:
    """`medium: text` on a voice scenario must be all that a person changes."""
    script: list[Any] = [{"says": "x", "interrupts_after": "1s"}, {"backchannel": "mhm"}, {"dtmf": "1#"}]
    script += [{"silent_for": "2s"}, {"hangs_up": True}]
    assert len(scenario(medium="text", script=script).script) == 5


def test_a_loaded_scenario_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        scenario().name = "other"  # type: ignore[misc]


def test_foreign_values_are_refused_not_guessed() -> None:
    with pytest.raises(ValidationError):
        scenario(goal=datetime.date(2024, 1, 1))
