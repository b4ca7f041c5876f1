"""Files that go with a line, and what was said before it, in the shape of each protocol."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from anthropic.types import MessageParam
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses import ResponseInputParam
from pydantic import TypeAdapter

from simulate import Scenario, run
from simulate.errors import InputError
from simulate.interfaces.cli.main import main
from simulate.model.outcome import Outcome
from simulate.scenario_files import load_scenarios
from tests.agents.served import serving

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HISTORY = [
    {"caller": "My parcel came broken."},
    {"called": "lookup_order", "with": {"order_id": "4417"}, "returned": {"status": "delivered"}},
    {"agent": "Could you send a picture?"},
]
CHAT = {
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "I see."}}]
}
RESPONSE = {"status": "completed", "output": [{"type": "message", "content": [{"text": "I see."}]}]}
MESSAGE = {"content": [{"type": "text", "text": "I see."}], "stop_reason": "end_turn"}
seen: list[dict[str, Any]] = []


async def answer(request: web.Request) -> web.Response:
    seen.append(await request.json())
    name = request.path.rpartition("/")[2]
    return web.json_response({"completions": CHAT, "responses": RESPONSE, "messages": MESSAGE}[name])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "broken.png").write_bytes(PNG)
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.4 ")
    seen.clear()
    return tmp_path


def scenario(folder: Path, *files: str, history: Any = HISTORY) -> Scenario:
    line = {"says": "Here it is.", "attachments": [str(folder / name) for name in files]}
    expect = [{"said": {"contains": "I see"}}]
    return Scenario.model_validate({"name": "Broken", "history": history, "script": [line], "expect": expect})


async def asked(folder: Path, scheme: str, path: str) -> Outcome:
    async with serving(web.post(path, answer)) as url:
        return await run(scenario(folder, "broken.png", "invoice.pdf"), f"{scheme}{url}/v1")


def types_of(content: Any) -> list[str]:
    return [part["type"] for part in content]


async def test_chat_completions(folder: Path) -> None:
    outcome = await asked(folder, "", "/v1/chat/completions")
    assert outcome.passed, outcome.explain()
    messages: list[Any] = seen[0]["messages"]
    TypeAdapter(list[ChatCompletionMessageParam]).validate_python(messages)
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant", "user"]
    text, image, file = messages[-1]["content"]
    assert text == {"type": "text", "text": "Here it is."}
    assert image["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert file["file"]["filename"] == "invoice.pdf"
    assert file["file"]["file_data"].startswith("data:application/pdf;base64,")
    assert outcome.conversation.utterances[0].attachments == ["broken.png", "invoice.pdf"]


async def test_responses(folder: Path) -> None:
    outcome = await asked(folder, "responses:", "/v1/responses")
    assert outcome.passed, outcome.explain()
    items: list[Any] = seen[0]["input"]
    TypeAdapter(ResponseInputParam).validate_python(items)
    call, result = items[1:3]
    assert (call["type"], call["name"]) == ("function_call", "lookup_order")
    assert (result["type"], result["call_id"]) == ("function_call_output", call["call_id"])
    assert items[3] == {"role": "assistant", "content": "Could you send a picture?"}
    assert types_of(items[-1]["content"]) == ["input_text", "input_image", "input_file"]


async def test_anthropic(folder: Path) -> None:
    outcome = await asked(folder, "anthropic:", "/v1/messages")
    assert outcome.passed, outcome.explain()
    messages: list[Any] = seen[0]["messages"]
    TypeAdapter(list[MessageParam]).validate_python(messages)
    call, result = messages[1]["content"][0], messages[2]["content"][0]
    assert (call["type"], call["input"]) == ("tool_use", {"order_id": "4417"})
    assert (result["type"], result["tool_use_id"]) == ("tool_result", call["id"])
    assert types_of(messages[-1]["content"]) == ["image", "document", "text"]
    (folder / "call.mp3").write_bytes(b"x")
    with pytest.raises(InputError, match=r"takes no audio/mpeg"):
        await run(scenario(folder, "call.mp3"), "anthropic:http://127.0.0.1:9/v1")


async def test_a_function_of_messages(folder: Path) -> None:
    given: list[Any] = []

    def agent(messages: list[dict[str, Any]]) -> str:
        given.extend(messages)
        return "I see."

    outcome = await run(scenario(folder, "broken.png"), agent)
    assert outcome.passed, outcome.explain()
    outcome.status = "failed"
    assert "(with broken.png)" in outcome.explain(), "whoever reads a failure sees what was sent"
    assert types_of(given[-1]["content"]) == ["text", "image_url"]


def test_who_takes_no_files_is_refused_and_told_who_does(folder: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(folder)
    (folder / "pyproject.toml").write_text(
        '[tool.simulate.agents.shop]\naddress = "http://127.0.0.1:9"\n'
        'request = { body = { text = "{{message}}" } }\n'
    )
    line = "script: [{says: Look, attachments: [broken.png]}]\n"
    (folder / "a.yaml").write_text(f"name: a\nagent: shop\n{line}")
    (folder / "b.yaml").write_text(f"name: b\nagent: exec:cat\n{line}")
    (folder / "c.yaml").write_text(f"name: c\nagent: responses:http://127.0.0.1:9/v1\n{line}")
    assert main(["check", "a.yaml", "b.yaml", "c.yaml"]) == 2
    told = capsys.readouterr().err
    assert "a.yaml:1" in told and "b.yaml:1" in told and "c.yaml" not in told
    assert "responses:, anthropic: and a2a:" in told


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{says: Look, attachments: [brokn.png]}", 'no file "brokn.png"'),
        ("{says: Look, attachment: [broken.png]}", "attachments"),
        ("{dtmf: '1', attachments: [broken.png]}", "says"),
    ],
)
def test_a_wrong_attachment_is_told_with_its_place(folder: Path, line: str, problem: str) -> None:
    (folder / "a.yaml").write_text(f"name: a\nscript:\n  - {line}\n")
    with pytest.raises(InputError) as caught:
        load_scenarios([folder / "a.yaml"])
    assert problem in str(caught.value) and "a.yaml:3" in str(caught.value)


def test_nothing_is_attached_to_a_call(folder: Path) -> None:
    with pytest.raises(ValueError, match="medium: text"):
        Scenario.model_validate(
            {"name": "x", "medium": "voice", "script": [{"says": "Look", "attachments": ["a.png"]}]}
        )


def test_a_case_names_its_file(folder: Path) -> None:
    (folder / "a.yaml").write_text(
        "name: a\ncases: [{file: broken.png}, {file: invoice.pdf}]\n"
        'script: [{says: Look, attachments: ["{{file}}"]}]\n'
    )
    found = [each.scenario.attachments[0].path for each in load_scenarios([folder / "a.yaml"])]
    assert found == [folder / "broken.png", folder / "invoice.pdf"]
