"""The vendors' own SDKs and the frameworks above them, where they are installed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from simulate.replay import record, replaying

ASKED: list[Any] = [{"role": "user", "content": "hello"}]


async def anthropic(base: str) -> Any:
    sdk = pytest.importorskip("anthropic")
    async with sdk.AsyncAnthropic(base_url=base, api_key="k") as client:
        answer = await client.messages.create(model="c", max_tokens=5, messages=ASKED)
    return answer.content[0].text


async def google(base: str) -> Any:
    genai = pytest.importorskip("google.genai")
    client = genai.Client(api_key="k", http_options={"base_url": base})
    one = client.models.generate_content(model="g", contents="hello").text
    two = (await client.aio.models.generate_content(model="g", contents="hello")).text
    return one, two


async def bedrock(base: str) -> Any:
    boto3 = pytest.importorskip("boto3")

    def work() -> Any:
        client = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=base,
            aws_access_key_id="x",
            aws_secret_access_key="y",
        )
        answer = client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "hello"}]}])
        return answer["output"]["message"]["content"][0]["text"]

    return await asyncio.to_thread(work)


async def litellm(base: str) -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"  # else its import fetches a price list
    sdk = pytest.importorskip("litellm")
    given = {"model": "openai/m", "api_base": base + "/v1", "api_key": "k", "messages": ASKED}
    one = sdk.completion(**given).choices[0].message.content
    two = (await sdk.acompletion(**given)).choices[0].message.content
    stream = await sdk.acompletion(**given, stream=True)
    return one, two, "".join([piece.choices[0].delta.content or "" async for piece in stream])


async def langchain(base: str) -> Any:
    sdk = pytest.importorskip("langchain_openai")
    model = sdk.ChatOpenAI(model="m", base_url=base + "/v1", api_key="k")
    return (await model.ainvoke("hello")).content, "".join(
        [piece.content async for piece in model.astream("hello")]
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("work", [anthropic, google, bedrock, litellm, langchain])
async def test_an_sdk_replays(server: Any, tmp_path: Path, work: Callable[[str], Awaitable[Any]]) -> None:
    async with record(tmp_path / "c", allow=[]):
        recorded = await work(server.base)
    assert "answer to hello" in str(recorded)
    heard = len(server.hits)
    async with replaying(tmp_path / "c") as player:
        assert await work(server.base) == recorded
    report = player.report()
    assert len(server.hits) == heard and report.passed, report.explain()
