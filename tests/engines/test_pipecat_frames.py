"""A call's speech in a cassette, frame by frame, and the same call again without any of its services."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

pytest.importorskip("pipecat", reason="needs the extra voice")
pytest.importorskip("hibari", reason="needs the extra voice")

from simulate.determinism.clock import run_virtual
from simulate.errors import InputError
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.running import Recordings
from simulate.resources import Resources
from simulate.run import run_trial
from simulate.scenario_files import load_scenarios
from simulate.trace.diff import compare

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.* is deprecated since:DeprecationWarning"),
]


def call(mode: Any, folder: Path) -> Outcome:
    (loaded,) = load_scenarios([ROOT / "scenarios" / "voice" / "barge_in.yaml"])
    scenario = loaded.scenario

    async def go() -> Outcome:
        async with Resources(Project.find(ROOT), [scenario]) as stage:
            stage.recordings = Recordings(folder, mode)
            return await run_trial(replace(loaded, id="call"), stage)

    return run_virtual(go())


def talk(outcome: Outcome) -> list[tuple[str, str, float]]:
    return [(said.speaker, said.text, round(said.start, 2)) for said in outcome.conversation.utterances]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """The bot, whose voice takes 0.8 s to begin, as one over the network does."""
    from fixtures.agents import speech_services

    folder = tmp_path_factory.mktemp("cassettes")
    speak = speech_services.HibariTTS.run_tts

    async def slowly(service: Any, text: str, context_id: str) -> Any:
        import asyncio

        await asyncio.sleep(0.8)
        async for frame in speak.__get__(service)(text, context_id):
            yield frame

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speech_services.HibariTTS, "run_tts", slowly)
        outcome = call("all", folder)
    return folder, outcome


def test_the_frames_are_kept_with_their_times(recorded: tuple[Path, Outcome]) -> None:
    folder, outcome = recorded
    assert outcome.passed, outcome.explain()
    cassette = Cassette.load(folder / "call")
    spoken = [entry for entry in cassette.frames if entry["kind"] == "tts"]
    heard = [entry for entry in cassette.frames if entry["kind"] == "stt"]
    assert "order support" in spoken[0]["text"]
    assert [each["frame"] for each in spoken[0]["gave"]] == ["audio"]
    assert spoken[0]["gave"][0]["at"] == pytest.approx(800, abs=5) and spoken[0]["gave"][0]["rate"] == 24_000
    assert any("7291" in each["text"] for entry in heard for each in entry["gave"])
    sound = folder / "call" / "blobs" / spoken[0]["gave"][0]["blob"]
    assert sound.stat().st_size > 24_000


def test_the_call_again_without_its_services(
    recorded: tuple[Path, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same words, same times, same spans; nobody speaks, listens or thinks."""
    folder, first = recorded

    async def never(*_: Any) -> Any:
        raise AssertionError("the service itself was asked")
        yield

    monkeypatch.setattr("fixtures.agents.speech_services.HibariTTS.run_tts", never)
    monkeypatch.setattr("fixtures.agents.speech_services.Moonshine.run_stt", never)
    again = call("none", folder)
    assert again.passed, again.explain()
    assert "replay" in [verdict.check for verdict in again.verdicts]
    assert talk(again) == talk(first)
    assert again.measures["reply_p50_seconds"] == pytest.approx(first.measures["reply_p50_seconds"], abs=0.03)
    assert {"turn", "stt", "llm", "tts"} <= {span.name for span in again.trace.spans}
    changed = compare(first.trace, again.trace)
    assert not changed.changes, changed.changes


def test_another_sentence_is_a_divergence(
    recorded: tuple[Path, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = recorded
    monkeypatch.setattr("fixtures.agents.phone_bot.GREETING", "Good morning, what can I do for you?")
    again = call("none", folder)
    (verdict,) = [one for one in again.verdicts if one.check == "replay"]
    assert (verdict.status, again.side) == ("failed", "agent")
    assert "the sentence “Good morning, what can I do for you?” was never recorded" in verdict.fact


def test_sound_that_is_gone_is_refused(recorded: tuple[Path, Outcome], tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "cassettes"
    shutil.copytree(recorded[0], copy)
    frames = [orjson.loads(line) for line in (copy / "call" / "frames.jsonl").read_bytes().splitlines()]
    name = next(entry["gave"][0]["blob"] for entry in frames if entry["kind"] == "tts")
    (copy / "call" / "blobs" / name).unlink()
    with pytest.raises(InputError, match="is missing"):
        Cassette.load(copy / "call")
