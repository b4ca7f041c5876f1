"""Tools: recorded as they are, played by name and arguments, and never written with in a replay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel

import simulate.tools
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.errors import InputError
from simulate.model.tool_pin import ToolPin
from simulate.replay import Cassette, Rules, record, replaying
from simulate.replay.cassette.python_values import from_json, to_json, without_types
from simulate.replay.intercept.traffic import NotRecorded
from simulate.tools import ToolFailed

ran: list[str] = []


@simulate.tools.tool
async def lookup(order: str, *, deep: bool = False) -> dict[str, Any]:
    ran.append(order)
    if order == "bad":
        raise ValueError("no such order")
    return {"order": order, "calls": len(ran)}


@simulate.tools.tool(write=True)
def refund(order: str) -> str:
    ran.append(f"refund {order}")
    return "done"


@pytest.fixture(autouse=True)
def _forget() -> None:
    ran.clear()


async def work() -> list[Any]:
    found: list[Any] = [await lookup("1"), await lookup("1"), await lookup("2", deep=True), refund("1")]
    with pytest.raises(ValueError, match="no such order") as error:
        await lookup("bad")
    return [*found, str(error.value)]


async def test_tools_replay_by_name_arguments_and_ordinal(tmp_path: Path) -> None:
    async with record(tmp_path / "c") as recorder:
        with simulate.tools.using(recorder.toolbox()):
            recorded = await work()
    assert recorded[0] != recorded[1]  # the same question twice, two answers
    ran.clear()
    async with replaying(tmp_path / "c") as player:
        with simulate.tools.using(player.toolbox()):
            assert await work() == recorded
    assert ran == [] and player.report().verdict == "identical"
    assert [one.write for one in Cassette.load(tmp_path / "c").tools] == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("arguments", "verdict", "component"),
    [({"order": "9"}, "drifted", "tool arguments"), ({"order": "1"}, "exhausted", "extra call")],
)
async def test_a_call_that_was_not_recorded_is_named(
    tmp_path: Path, arguments: Any, verdict: str, component: str
) -> None:
    async with record(tmp_path / "c") as recorder:
        with simulate.tools.using(recorder.toolbox()):
            await lookup("1")
    async with replaying(tmp_path / "c") as player:
        with simulate.tools.using(player.toolbox()):
            if verdict == "exhausted":
                await lookup("1")
            with pytest.raises(NotRecorded, match="not in the cassette"):
                await lookup(**arguments)
    report = player.report()
    assert (report.verdict, report.first and report.first.component) == (verdict, component)


async def test_a_tool_that_writes_runs_only_when_it_is_named(tmp_path: Path) -> None:
    async with record(tmp_path / "c") as recorder:
        with simulate.tools.using(recorder.toolbox()):
            refund("1")
    ran.clear()
    async with replaying(tmp_path / "c", policy="live") as player:
        with simulate.tools.using(player.toolbox()):
            with pytest.raises(NotRecorded):
                refund("2")
            assert (await lookup("3"))["order"] == "3"
    assert ran == ["3"] and any("refund writes" in note for note in player.report().notes)
    async with replaying(tmp_path / "c", policy="live", live_writes={"refund"}) as player:
        with simulate.tools.using(player.toolbox()):
            assert refund("2") == "done"
    assert ran == ["3", "refund 2"]


@dataclass
class Pinned:
    pins: dict[str, Any]
    seen: int = 0

    def offered(self, name: str, *, write: bool) -> None: ...

    def answers(self, name: str) -> bool:
        return name in self.pins

    async def call(self, name: str, arguments: Any, live: Any, *, write: bool) -> Any:
        self.seen += 1
        return self.pins[name] if name in self.pins else await live()

    def call_sync(self, name: str, arguments: Any, live: Any, *, write: bool) -> Any:
        self.seen += 1
        return self.pins[name] if name in self.pins else live()


async def test_what_the_scenario_pins_stays_pinned_and_every_call_is_seen(tmp_path: Path) -> None:
    async with record(tmp_path / "c") as recorder:
        with simulate.tools.using(recorder.toolbox(Pinned({"lookup": "pinned"}))):
            assert await lookup("1") == "pinned"
            assert refund("1") == "done"
    pinned = Pinned({"lookup": "pinned"})
    async with replaying(tmp_path / "c") as player:
        with simulate.tools.using(player.toolbox(pinned)):
            assert await lookup("another") == "pinned"
            assert refund("1") == "done"
    assert player.report().verdict == "identical" and pinned.seen == 2
    assert [one.name for one in Cassette.load(tmp_path / "c").tools] == ["refund"]


class OddError(Exception):
    """Of a class that a replay cannot know."""


@pytest.mark.parametrize(("raised", "again"), [(KeyError("k"), KeyError), (OddError("odd"), ToolFailed)])
async def test_a_failed_tool_raises_again_what_can_be_caught(
    tmp_path: Path, raised: Exception, again: type[Exception]
) -> None:
    @simulate.tools.tool
    def fails() -> None:
        raise raised

    async with record(tmp_path / "c"):
        with pytest.raises(type(raised)):
            fails()
    async with replaying(tmp_path / "c") as player:
        with pytest.raises(again) as error:
            fails()
        assert str(error.value).strip("'\"") == str(raised).strip("'\"")
    assert player.report().passed
    async with replaying(tmp_path / "c") as player:
        # whoever runs a tool for its agent knows one class only
        with pytest.raises(ToolFailed):
            player.handed("fails", {})


async def test_tools_are_recorded_and_replayed_with_nothing_but_the_two_blocks(tmp_path: Path) -> None:
    async with record(tmp_path / "c"):
        assert refund("1") == "done"
    ran.clear()
    async with replaying(tmp_path / "c") as player:
        assert refund("1") == "done"
    assert ran == [] and player.report().played == 1 and player.report().passed
    async with replaying(tmp_path / "c") as player:
        with pytest.raises(NotRecorded):
            refund("2")
    assert ran == [] and not player.report().passed


async def test_a_tool_that_is_only_delayed_is_recorded_and_does_not_run_again(
    tmp_path: Path,
) -> None:
    pins = {"refund": ToolPin(delay=0.01)}
    async with record(tmp_path / "c") as recorder:
        with simulate.tools.using(recorder.toolbox(PinnedTools(pins))):
            assert refund("1") == "done"
    ran.clear()
    tools = PinnedTools(pins)
    async with replaying(tmp_path / "c") as player:
        with simulate.tools.using(player.toolbox(tools)):
            assert refund("1") == "done"
    assert ran == [] and player.report().passed and [use.result for use in tools.uses] == ["done"]


async def test_a_tool_that_may_go_live_is_kept_beside(tmp_path: Path) -> None:
    async with record(tmp_path / "c"):
        await lookup("1")
    async with replaying(tmp_path / "c", policy="live", side=tmp_path / "side"):
        await lookup("2")
    assert [one.arguments for one in Cassette.load(tmp_path / "side").tools] == [{"order": "2"}]


@dataclass(frozen=True)
class Order:
    number: str
    total: Decimal
    at: datetime


class Status(Enum):
    LOST = "lost"


class Point(NamedTuple):
    x: int
    y: int


class Parcel(BaseModel):
    status: Status
    weighs: float | None = None


VALUES: list[Any] = [
    {"status": "lost", "amount": 42.5, "by": None},
    Order("4417", Decimal("42.50"), datetime(2026, 1, 2, 3, 4, 5, 6, UTC)),
    ("lost", 1, ["a", (2,)]),
    {1: "one", ("a", 2): {"x"}},
    {"$python": "tuple", "value": [1]},
    [date(2026, 1, 2), time(3, 4), timedelta(days=-1, seconds=2), UUID(int=7), b"\xff\x00"],
    [10**30, float("inf"), "half \ud83d", True, 1, 1.0],
    [Status.LOST, Point(1, 2), Parcel(status=Status.LOST), frozenset({1})],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_a_tool_gives_again_what_it_gave_in_its_order_and_with_its_types(
    tmp_path: Path, value: Any
) -> None:
    given = [value]

    @simulate.tools.tool
    def gives() -> Any:
        return given.pop()

    async with record(tmp_path / "c", rules=Rules()):
        gives()
    async with replaying(tmp_path / "c", rules=Rules()) as player:
        again = gives()
    assert again == value and repr(again) == repr(value) and player.report().passed


async def test_a_result_that_no_replay_could_give_again_is_refused_while_recording(tmp_path: Path) -> None:
    @simulate.tools.tool
    def opens() -> Any:
        return {"file": ran.__iter__()}

    with pytest.raises(InputError, match="the tool opens gave a builtins:list_iterator"):
        async with record(tmp_path / "c"):
            opens()
    assert (
        not (tmp_path / "c").exists()
        and not Cassette.load(tmp_path / "c.partial", allow_partial=True).complete
    )


def test_what_an_agent_hands_over_is_given_as_json() -> None:
    assert without_types(to_json(VALUES[1])) == {
        "number": "4417",
        "total": "42.50",
        "at": "2026-01-02T03:04:05.000006+00:00",
    }
    assert without_types(to_json(VALUES[3])) == {"1": "one", "['a', 2]": ["x"]}


@pytest.mark.parametrize("name", ["os:system", "subprocess:Popen", "builtins:eval", "nowhere:Thing"])
def test_a_cassette_names_no_class_but_those_of_values(name: str) -> None:
    assert from_json({"$python": name, "value": {"args": "true"}}) == {"args": "true"}
