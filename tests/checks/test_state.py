"""A world for each conversation: its methods are tools, its state judged, its faults not the agent's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import simulate
from simulate import Scenario
from simulate.errors import InputError
from simulate.run import run

WORLD = """
import simulate

LOG = []

class Shop:
    def setup(self):
        LOG.append("setup")
        self.orders = {"4417": {"refunded": False, "amount": 42.5}, "4418": {"refunded": False, "amount": 1}}

    def teardown(self):
        LOG.append("teardown")

    def state(self):
        return {"orders": self.orders, "mails": getattr(self, "mails", [])}

    async def lookup_order(self, order_id):
        return self.orders[order_id]

    def issue_refund(self, order_id):
        if self.orders[order_id]["refunded"]:
            raise simulate.ToolFailed("already refunded")
        self.orders[order_id]["refunded"] = True
        return "done"

    def breaks(self):
        return {}["no"]

class Careless(Shop):
    def issue_refund(self, order_id):
        self.mails = ["to everybody"]
        self.orders[order_id]["amount"] = 0
        return super().issue_refund(order_id)

def yielded():
    shop = Shop()
    shop.setup()
    yield shop
    LOG.append("after")

class Silent:
    def issue_refund(self, order_id): return "done"

class Fails(Shop):
    def teardown(self):
        raise OSError("disk full")
"""
ran: list[str] = []


@simulate.tool(write=True)
def issue_refund(order_id: str) -> str:
    ran.append(order_id)
    return "done for real"


@simulate.tool
def breaks() -> str:
    return "never"


@simulate.tool
async def lookup_order(order_id: str) -> dict[str, Any]:
    return {"of": "production"}


async def agent(message: str) -> str:
    """Does what it is told, twice if told twice, and copes with tools that fail."""
    if message == "break":
        try:
            return breaks()
        except Exception:  # noqa: BLE001 - an agent that copes must not hide the world's fault
            return "Never mind."
    if message == "look":
        found = await lookup_order("4417")
        found["refunded"] = "by the agent, in its own copy"
        return "Seen."
    try:
        return issue_refund("4417")
    except simulate.ToolFailed as error:
        return f"No: {error}"


def scenario(world: str, *lines: str, **more: Any) -> Scenario:
    given = {"name": "x", "world": f"world.py:{world}", "script": [{"says": line} for line in lines], **more}
    return Scenario.model_validate(given)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "world.py").write_text(WORLD)
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    ran.clear()
    return tmp_path


async def status(world: str, *lines: str, **more: Any) -> tuple[str, str]:
    outcome = await run(scenario(world, *lines, **more), agent)
    told = " ".join([outcome.explain(), *(line for each in outcome.verdicts for line in each.evidence)])
    return outcome.status, told


REFUNDED: dict[str, Any] = {"state": {"orders.4417.refunded": True}, "nothing_else_changed": True}


async def test_a_world_remembers_and_its_state_is_judged(at: Path) -> None:
    outcome = await run(
        scenario("Shop", "refund", "again", expect=[REFUNDED, {"said": {"contains": "already refunded"}}]),
        agent,
    )
    assert outcome.status == "passed", outcome.explain()
    assert "orders.4417.refunded: false → true" in outcome.verdicts[0].fact
    assert ran == [], "the agent's own tool never ran"
    assert [use.error for use in outcome.tool_uses] == [None, "ToolFailed: already refunded"]


async def test_each_conversation_has_a_world_of_its_own_that_is_torn_down(at: Path) -> None:
    from simulate.load_object import load_object

    log = load_object("world.py:LOG", "log", at)
    log.clear()
    for _ in range(2):
        assert (await status("Shop", "refund", expect=[REFUNDED]))[0] == "passed"
    assert log == ["setup", "teardown"] * 2
    assert (await status("yielded", "refund", expect=[REFUNDED]))[0] == "passed"
    assert log[4:] == ["setup", "after"] or log[4:] == ["setup", "setup", "teardown", "after"]


@pytest.mark.parametrize(
    "expected",
    [
        REFUNDED,
        {"state": {"orders.4417": {"refunded": True}}, "nothing_else_changed": True},
        {"state": {"orders.*.refunded": True}},
        {"state": {"orders.4417.amount": {"about": 42.5}}},
        {"state": {"orders.9": {"any": True}}},
        {"state": {}, "nothing_else_changed": True},
    ],
)
async def test_what_is_not_so_fails_and_shows_what_changed(at: Path, expected: dict[str, Any]) -> None:
    found, told = await status("Careless", "refund", expect=[expected])
    assert found == "failed"
    assert "orders.4417.amount: 42.5 → 0" in told


async def test_without_evidence_there_is_no_verdict(at: Path) -> None:
    found, told = await status("Silent", "refund", expect=[REFUNDED])
    assert found == "not_run" and "state()" in told
    nowhere = Scenario.model_validate({"name": "x", "opens_with": "refund", "expect": [REFUNDED]})
    assert (await run(nowhere, agent)).status == "not_run"


async def test_a_world_that_breaks_is_not_the_agents_fault_even_if_the_agent_copes(at: Path) -> None:
    found, told = await status("Shop", "break", expect=[{"said": {"contains": "Never mind"}}])
    assert found == "error" and "KeyError" in told and "world.py" in told
    found, told = await status("Fails", "refund")
    assert found == "error" and "disk full" in told


async def test_what_the_agent_does_with_an_answer_does_not_change_the_world(at: Path) -> None:
    assert (await status("Shop", "look", expect=[{"state": {}, "nothing_else_changed": True}]))[0] == "passed"


async def test_pins_come_first(at: Path) -> None:
    pins = {"issue_refund": "pinned"}
    unchanged = {"state": {}, "nothing_else_changed": True}
    found, told = await status(
        "Shop", "refund", tools=pins, expect=[unchanged, {"said": {"contains": "pinned"}}]
    )
    assert found == "passed", told


async def test_a_fault_with_a_probability_is_drawn_from_the_seed(at: Path) -> None:
    """The world answers where the fault does not; the same seed gives the same faults."""
    pins = {"issue_refund": {"error": "timeout", "probability": 0.5}}
    lines = ["refund"] * 40
    limits = {"turns": 50}
    same = scenario("Shop", *lines, tools=pins, limits=limits)
    outcomes = [await run(same, agent, seed=seed) for seed in (1, 1, 2)]
    failures = [[use.error == "ToolFailed: timeout" for use in outcome.tool_uses] for outcome in outcomes]
    assert failures[0] == failures[1] != failures[2]
    assert 8 < sum(failures[0]) < 32


async def test_delays_are_spread_as_said() -> None:
    from simulate.conversation.agents.pinned_tools import PinnedTools

    pins = scenario("Shop", "x", tools={"t": {"delay": {"p50": "100ms", "p95": "1s"}}}).tools
    tools = PinnedTools(pins)
    drawn = sorted(tools._delay("t") for _ in range(2000))  # pyright: ignore[reportPrivateUsage]
    assert 0.09 < drawn[1000] < 0.11 and 0.8 < drawn[1900] < 1.25


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"expect": [{"state": {}}]}, "expects nothing"),
        ({"tools": {"t": {"error": "x", "probability": 2}}}, "less than 1"),
        ({"tools": {"t": {"delay": {"p50": "2s", "p95": "1s"}}}}, "at most p95"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Scenario.model_validate({"name": "x", "opens_with": "hi", "world": "a.py:B", **given})


async def test_a_world_that_cannot_be_made_is_refused_before_anything_runs(at: Path) -> None:
    for name, told in (("Shpo", 'did you mean "Shop"'), ("LOG", "is of type list")):
        with pytest.raises(InputError, match=told):
            await run(scenario(name, "hello"), agent)


def test_a_probability_alone_is_an_answer() -> None:
    (pin,) = Scenario.model_validate(
        {"name": "x", "opens_with": "hi", "tools": {"risk": {"probability": 0.7}}}
    ).tools.values()
    assert pin.returns == {"probability": 0.7}
