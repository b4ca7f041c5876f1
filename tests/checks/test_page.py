"""The examples of docs/checks.md run: an agent that does right passes each, one that does wrong fails it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import simulate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "checks.md"
EXAMPLES = {
    yaml.safe_load(text)["name"]: text
    for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
}


@simulate.tool
def verify_identity() -> dict[str, bool]:
    return {}


@simulate.tool(write=True)
def transfer() -> dict[str, str]:
    return {}


@simulate.tool(write=True)
def issue_refund() -> dict[str, bool]:
    return {}


def verifies(message: str) -> str:
    verify_identity()
    transfer()
    return "Done."


def does_not_verify(message: str) -> str:
    transfer()
    return "Done."


def refunds(message: str) -> str:
    issue_refund()
    return "I am sorry. I have refunded it."


ORDER = {"order": {"id": "4417", "status": "lost", "items": [{"sku": "A1"}, {"sku": "B2"}]}}
TOLD = "I am sorry. I refund 42.5 dollars for K X W, Q Z T now, and it will be there by December 1st."


def says(text: str) -> Callable[[str], str]:
    def agent(message: str) -> str:
        return text

    return agent


AGENTS: dict[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "Money moves only after a verification that succeeded": (verifies, does_not_verify),
    "The refund is told as it is": (says(TOLD), says(TOLD.replace("42.5", "-42.5"))),
    "A refund time is five to seven days": (
        says("A refund takes five to seven business days."),
        says("A refund takes 3–5 days."),
    ),
    "A refund that is told was made": (refunds, says("I am sorry. I have refunded it.")),
    "The text is for people": (says("I am Nova. How can I help?"), says("**I am {{name}}.**")),
    "The calls of a refund": (refunds, says("No.")),
    "The answer is an order": (says(json.dumps(ORDER)), says(json.dumps({"order": {}}))),
}


def test_every_example_has_its_agents() -> None:
    assert set(EXAMPLES) == set(AGENTS)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_passes_and_fails_as_it_should(name: str, tmp_path: Path) -> None:
    file = tmp_path / "example.yaml"
    file.write_text(EXAMPLES[name], "utf-8")
    if name == "The calls of a refund":
        (tmp_path / "snapshots").mkdir()
        (tmp_path / "snapshots/refund.yaml").write_text("- {called: issue_refund, with: {}}", "utf-8")
    right, wrong = AGENTS[name]
    outcome = await simulate.run(file, right)
    assert outcome.status == "passed", outcome.reason
    outcome = await simulate.run(file, wrong)
    assert (outcome.status, outcome.side) == ("failed", "agent"), outcome.reason
