"""Python agents in every shape that is promised, and what the misshapen ones are told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from simulate.conversation.agents.adapter import AgentMessage, Call, Delta, HungUp
from simulate.conversation.agents.python import PythonAdapter
from simulate.errors import AddressError, AgentFault
from simulate.load_object import load_object

CALL = Call("ab" * 16, reply_timeout=5.0)


async def talk(agent: Any, *messages: str | None, call: Call = CALL) -> list[Any]:
    """All events of one conversation."""
    events: list[Any] = []
    async with PythonAdapter(agent).connect(call) as session:
        for message in messages:
            events += [event async for event in session.send(message)]
    return events


async def upper(message: str) -> str:
    return message.upper()


def upper_sync(message: str) -> str:
    assert threading.current_thread() is not threading.main_thread(), "a sync agent must not block the loop"
    return message.upper()


async def count(messages: list[dict[str, Any]]) -> str:
    return f"{len(messages)} {messages[-1]['role']} {messages[-1]['content']}"


async def as_message(messages: list[dict[str, Any]]) -> dict[str, Any]:
    return {"role": "assistant", "content": messages[-1]["content"][::-1]}


async def streamed(message: str) -> AsyncIterator[str]:
    for word in message.split():
        yield word


def streamed_sync(message: str) -> Iterator[str]:
    yield from message.split()


def several(message: str) -> list[str]:
    return [message, "and more"]


class Counter:
    """An instance a conversation."""

    def start(self, conversation_id: str) -> str:
        self.said = 0
        return f"hello {conversation_id[:4]}"

    def reply(self, message: str) -> str:
        self.said += 1
        return f"{self.said}: {message}"


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (upper, [AgentMessage("HI YOU")]),
        (upper_sync, [AgentMessage("HI YOU")]),
        (count, [AgentMessage("1 user hi you")]),
        (as_message, [AgentMessage("uoy ih")]),
        (streamed, [Delta("hi"), Delta("you"), AgentMessage("hiyou")]),
        (streamed_sync, [Delta("hi"), Delta("you"), AgentMessage("hiyou")]),
        (several, [AgentMessage("hi you"), AgentMessage("and more")]),
        (Counter, [AgentMessage("1: hi you")]),
        (lambda: Counter(), [AgentMessage("1: hi you")]),
    ],
)
async def test_every_shape_answers(agent: Any, expected: list[Any]) -> None:
    assert await talk(agent, "hi you") == expected


async def test_history_grows_with_both_sides() -> None:
    events = await talk(count, "a", "b")
    assert events == [AgentMessage("1 user a"), AgentMessage("3 user b")]


async def test_an_agent_changing_its_history_does_not_change_ours() -> None:
    async def vandal(messages: list[dict[str, Any]]) -> str:
        seen = str(len(messages))
        messages.clear()
        return seen

    assert await talk(vandal, "a", "b") == [AgentMessage("1"), AgentMessage("3")]


async def test_each_conversation_has_its_instance() -> None:
    adapter = PythonAdapter(Counter)

    async def one(name: str) -> list[str]:
        async with adapter.connect(CALL) as session:
            texts: list[str] = []
            for _ in range(3):
                texts += [event.text async for event in session.send(name) if isinstance(event, AgentMessage)]
                await asyncio.sleep(0)
            return texts

    results = await asyncio.gather(*(one(str(number)) for number in range(50)))
    assert results == [[f"{turn}: {number}" for turn in (1, 2, 3)] for number in range(50)]


async def test_start_greets_where_the_agent_speaks_first() -> None:
    assert await talk(Counter, None, "x") == [AgentMessage("hello abab"), AgentMessage("1: x")]


async def test_hanging_up() -> None:
    async def done(message: str) -> dict[str, Any]:
        return {"content": "Bye.", "hang_up": True, "reason": "solved"}

    assert await talk(done, "thanks") == [AgentMessage("Bye."), HungUp("solved")]


async def test_a_function_cannot_speak_first() -> None:
    with pytest.raises(AgentFault, match="cannot speak first"):
        await talk(upper, None)


async def test_an_agent_that_raises_shows_its_own_frames() -> None:
    async def broken(message: str) -> str:
        return {}["missing"]

    with pytest.raises(AgentFault, match="KeyError") as caught:
        await talk(broken, "hi")
    assert caught.value.side == "agent"
    assert 'return {}["missing"]' in str(caught.value)
    assert "simulate/conversation" not in str(caught.value)


@pytest.mark.parametrize("answer", [None, 42, {"text": "x"}, [3], {"content": None}])
async def test_a_wrong_type_is_named(answer: Any) -> None:
    def agent(message: str) -> Any:
        return answer

    with pytest.raises(AgentFault, match="type"):
        await talk(agent, "hi")


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_an_agent_that_never_answers_is_cut_off(kind: str) -> None:
    release = threading.Event()

    async def hangs(message: str) -> str:
        await asyncio.Event().wait()
        return ""

    def hangs_sync(message: str) -> str:
        release.wait(20)
        return ""

    try:
        with pytest.raises(AgentFault, match=r"no whole answer within 0\.05 s"):
            await talk(
                hangs if kind == "async" else hangs_sync, "hi", call=Call("ab" * 16, reply_timeout=0.05)
            )
    finally:
        release.set()


async def test_sync_agents_run_side_by_side() -> None:
    together = threading.Barrier(40, timeout=20)

    def meets(message: str) -> str:
        together.wait()  # passes only once 40 conversations are inside
        return message

    await asyncio.gather(*(talk(meets, "x") for _ in range(40)))


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        (lambda a, b: "", "needs 2 arguments"),
        (lambda x: "", "cannot tell whether `x`"),
        (Counter(), "is one object"),
        (42, "is of type int"),
        (dict, "no method `reply`"),
    ],
)
def test_unfit_agents_are_refused_with_those_that_fit(agent: Any, told: str) -> None:
    with pytest.raises(AddressError, match=told) as caught:
        PythonAdapter(agent)
    assert (
        "messages: list[dict]" in str(caught.value)
        or "make" in str(caught.value)
        or "class" in str(caught.value)
    )


def test_addresses(tmp_path: Any) -> None:
    (tmp_path / "mine.py").write_text("def agent(message: str) -> str:\n    return 'x'\n")
    (tmp_path / "broken.py").write_text("import no_such_module_anywhere\n")
    assert load_object("mine.py:agent", "python:mine.py:agent", tmp_path)("y") == "x"
    with pytest.raises(AddressError, match='has no `agnt`; did you mean "agent"'):
        load_object("mine.py:agnt", "python:mine.py:agnt", tmp_path)
    with pytest.raises(AddressError, match=r"no file other\.py"):
        load_object("other.py:agent", "python:other.py:agent", tmp_path)
    with pytest.raises(AddressError, match="No module named 'no_such_module_anywhere'") as caught:
        load_object("broken.py:agent", "python:broken.py:agent", tmp_path)
    assert "broken.py" in str(caught.value)
    assert "simulate/conversation" not in str(caught.value)
    with pytest.raises(AddressError, match="there is no module nowhere_at_all") as missing:
        load_object("nowhere_at_all.agents:agent", "python:nowhere_at_all.agents:agent", tmp_path)
    assert str(tmp_path) in str(missing.value)
    with pytest.raises(AddressError, match="not of the form"):
        load_object("nothing", "python:nothing", tmp_path)


async def test_a_closed_instance_that_hangs_is_the_agents_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[float] = []

    class Closing:
        def reply(self, message: str) -> str:
            return "ok"

        def close(self) -> None:
            closed.append(time.monotonic())

    assert await talk(Closing, "x") == [AgentMessage("ok")]
    assert len(closed) == 1
