"""``clean_text``: each kind of dirt fails with the part that shows it; what people write is clean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulate import Scenario
from simulate.model.transcript import Conversation, Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks import Evidence, check_all
from simulate.trace.reading import TraceReading
from simulate.trace.span import Span, Trace

PROMPT = (
    "You are Nova, the assistant of Nimbus Air. "
    "Never offer a discount unless the customer asks for it twice. "
    "Refunds take five to seven business days after we get the ticket back. "
    'Greet with "Welcome to Nimbus Air, where the sky is never the limit, how may I help you today?"'
)


async def verdict(*said: str | Utterance, medium: Any = "text", prompt: str = "", **word: Any) -> Verdict:
    expect = {"clean_text": True, **word}
    scenario = Scenario.model_validate({"name": "x", "opens_with": "x", "expect": [expect]})
    talk = Conversation("ab" * 16, medium=medium)
    talk.utterances = [
        each if isinstance(each, Utterance) else Utterance("agent", each, turn, 0, 0)
        for turn, each in enumerate(said, 1)
    ]
    told = [{"role": "system", "parts": [{"type": "text", "content": prompt}]}]
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps(told)}
    spans = (
        [Span(trace_id="ab" * 16, span_id="cd" * 8, name="chat", start_ns=1, end_ns=2, attributes=attributes)]
        if prompt
        else []
    )
    reading = TraceReading(Trace("ab" * 16, spans))
    (found,) = await check_all(scenario.expect, Evidence(scenario, talk, reading))
    return found


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("placeholder", "Hello {{name}}, how are you?"),
        ("placeholder", "Hello {customer_name}, how are you?"),
        ("placeholder", "Dear [Your Name], we are sorry."),
        ("placeholder", "Your order ${order.id} is late."),
        ("tool call", 'Sure. {"name": "issue_refund", "arguments": {"amount": 5}}'),
        ("tool call", "<tool_call>refund</tool_call>"),
        ("thoughts", "<think>The user is angry.</think> I am sorry."),
        ("stage", "*sighs deeply* I am sorry to hear that."),
        ("stage", "[pauses] Let me see."),
        ("encoding", "Das ist fÃ¼r Sie."),
        ("encoding", "Itâ€™s on its way."),
        ("encoding", "Caf\ufffd is closed."),
        ("twice", "Your refund is on its way to you. Your refund is on its way to you."),
        ("twice", "I can help with that.I can help with that."),
        ("twice", "We will call you back today at noon. Fine. We will call you back today at noon."),
        ("not finished", "Your refund will be sent to the"),
        ("not finished", "I found your order. It will be delivered on Friday by our"),
        ("not finished", "You can choose between a refund,"),
    ],
)
async def test_dirt_fails_with_the_part_that_shows_it(what: str, text: str) -> None:
    found = await verdict("All is well.", text)
    assert (found.status, found.side, found.turn) == ("failed", "agent", 2)
    assert what in found.fact


@pytest.mark.parametrize(
    "text",
    [
        "Hello Ana, your order 4417 is on its way.",
        "**Your options**\n\n1. A refund\n2. A replacement\n\nSee [our page](https://example.com).",
        "Sure thing",
        "Café Müller, Straße 5 – “très bien”, 你好, привет, 🙂 ½ €5",
        "Your name, please?",
        "The set {a, b} and f(x) are fine. So is 5 * 3 * 2.",
        "Yes, yes, yes! Bye bye.",
        "Order id: KXW-QZT",
        "I can do that. Here is the link: https://example.com/a",
        'Here you are: {"status": "lost", "name": "Ana"}',
        "Please hold (this takes a minute).",
        "Na und? Ça va; où êtes-vous? ¿Qué tal?",
    ],
)
async def test_what_people_write_is_clean(text: str) -> None:
    found = await verdict(text)
    assert found.status == "passed", found.fact


@pytest.mark.parametrize(
    "text", ["**Great** news!", "# Refund\nDone.", "- a refund\n- a voucher", "`4417` it is"]
)
async def test_markup_is_dirt_where_the_channel_shows_none(text: str) -> None:
    assert (await verdict(text)).status == "passed"
    assert (await verdict(text, medium="voice")).status == "failed"
    assert (await verdict(text, markup=False)).status == "failed"
    assert (await verdict(text, medium="voice", markup=True)).status == "passed"


async def test_its_instructions_are_not_told() -> None:
    leak = "I was told: never offer a discount unless the customer asks for it twice."
    found = await verdict(leak, prompt=PROMPT)
    assert found.status == "failed" and "discount" in found.fact
    # without them nobody knows, which is told
    unknown = await verdict(leak)
    assert unknown.status == "passed" and "not known" in unknown.fact


@pytest.mark.parametrize(
    "text",
    [
        "Welcome to Nimbus Air, where the sky is never the limit, how may I help you today?",
        "Refunds take five to seven business days after we get the ticket back.",
    ],
)
async def test_what_the_instructions_give_to_be_said_may_be_said(text: str) -> None:
    assert (await verdict(text, prompt=PROMPT)).status == "passed"


async def test_who_was_interrupted_need_not_finish() -> None:
    cut = Utterance("agent", "Your refund will be sent to the", 1, 0, 0, interrupted=True)
    assert (await verdict(cut)).status == "passed"


async def test_nothing_said_is_nothing_known() -> None:
    assert (await verdict()).status == "not_run"
