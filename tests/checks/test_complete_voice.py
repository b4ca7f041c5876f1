"""Answers that are cut off in voice frameworks, whose own spans and events do not say why a model stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("pipecat", reason="needs the extra voice")

from fixtures.agents.model_server import ModelServer
from simulate import Scenario, run

pytestmark = [
    pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.* is deprecated since:DeprecationWarning"),
]
Agent = Callable[[str], Awaitable[str]]


def pipecat(url: str, model: str, limit: int) -> Agent:
    from pipecat.frames.frames import EndFrame, LLMContextFrame, LLMTextFrame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.runner import PipelineRunner
    from pipecat.pipeline.task import PipelineParams, PipelineTask
    from pipecat.processors.aggregators.llm_context import LLMContext
    from pipecat.processors.frame_processor import FrameProcessor
    from pipecat.services.openai.llm import OpenAILLMService

    class Ear(FrameProcessor):
        """The words of the real frames."""

        def __init__(self) -> None:
            super().__init__()
            self.words = ""

        async def process_frame(self, frame: Any, direction: Any) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, LLMTextFrame):
                self.words += frame.text
            await self.push_frame(frame, direction)

    async def agent(message: str) -> str:
        service = OpenAILLMService(
            base_url=url,
            api_key="none",
            settings=OpenAILLMService.Settings(model=model, max_completion_tokens=limit),
        )
        ear = Ear()
        metrics = PipelineParams(enable_metrics=True, enable_usage_metrics=True)
        task = PipelineTask(Pipeline([service, ear]), params=metrics, enable_tracing=True)
        context = LLMContext([{"role": "user", "content": message}])
        await task.queue_frames([LLMContextFrame(context), EndFrame()])
        await PipelineRunner(handle_sigint=False).run(task)
        await service._client.close()
        return ear.words

    return agent


def livekit(url: str, model: str, limit: int) -> Agent:
    plugin = pytest.importorskip("livekit.plugins.openai", reason="pip install livekit-plugins-openai")
    from livekit.agents.llm import ChatContext

    async def agent(message: str) -> str:
        context = ChatContext.empty()
        context.add_message(role="user", content=message)
        llm = plugin.LLM(model=model, base_url=url, api_key="none", max_completion_tokens=limit)
        async with llm.chat(chat_ctx=context) as stream:
            said = [chunk.delta.content or "" async for chunk in stream if chunk.delta]
        await llm.aclose()
        return "".join(said)

    return agent


def brain(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    return {"content": "It is on its way. Your refund of $42.50 comes back within five days of today."}


async def outcome_of(make: Callable[[str, str, int], Agent], fault: str, limit: int, **more: Any) -> Any:
    given = {"name": "x", "script": [{"says": "a"}, {"says": "b"}], **more}
    async with ModelServer({"agent": brain}).running() as server:
        agent = make(server.url, f"agent{fault}", limit)
        return await asyncio.wait_for(run(Scenario.model_validate(given), agent), 60)


async def test_pipecat_tells_that_all_tokens_were_used() -> None:
    whole = await outcome_of(pipecat, "", 500, expect=[{"complete": True}])
    assert whole.status == "not_run", whole.explain()  # it may have been cut off by a filter
    used = whole.measures["output_tokens"] // 2 // 2
    cut = await outcome_of(pipecat, "+length", used)
    assert (cut.status, cut.side) == ("failed", "agent"), cut.explain()
    assert f"all {used} tokens" in (cut.reason or "")


async def test_livekit_tells_nothing_so_the_words_are_looked_at() -> None:
    whole = await outcome_of(livekit, "", 500, expect=[{"complete": True}])
    assert (whole.status, whole.notes) == ("not_run", []), whole.explain()
    cut = await outcome_of(livekit, "+length", 500)
    assert cut.status == "passed"
    assert [note for note in cut.notes if "may be cut off" in note], cut.notes
