"""A bot in this process whose speech services are on the network: its call replays without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pipecat", reason="needs the extra voice")
pytest.importorskip("hibari", reason="needs the extra voice")

from simulate.determinism.clock import run_virtual
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.replay.matching.canonical import canonical_trace
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


async def call(mode: Any, folder: Path, out: Path) -> Outcome:
    (loaded,) = load_scenarios([ROOT / "scenarios" / "voice" / "noisy_order_number.yaml"])
    scenario = loaded.scenario.model_copy(update={"agent": "pipecat:fixtures.agents.cartesia_server:bot"})
    async with Resources(Project.find(ROOT), [scenario]) as stage:
        stage.recordings = Recordings(folder, mode)
        return await run_trial(replace(loaded, scenario=scenario, id="call", folder=out), stage)


def test_a_call_replays_byte_for_byte_without_its_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fixtures.agents import cartesia_server

    async def record() -> Outcome:
        async with cartesia_server.CartesiaServer().running() as service:
            monkeypatch.setattr(cartesia_server, "base", service.base)
            outcome = await call("all", tmp_path / "cassettes", tmp_path / "first")
            assert service.opened == 2
            return outcome

    first = run_virtual(record())
    assert first.passed, first.explain()
    again = [
        run_virtual(call("none", tmp_path / "cassettes", tmp_path / name)) for name in ("second", "third")
    ]
    for one in again:
        assert first.trace and one.trace
        assert one.passed, one.explain()
        assert [(said.speaker, said.text) for said in one.conversation.utterances] == [
            (said.speaker, said.text) for said in first.conversation.utterances
        ]
        assert not compare(first.trace, one.trace).changes
    second, third = (canonical_trace(one.trace) for one in again if one.trace)
    assert second == third
    second, third = ((tmp_path / run / "recording.wav").read_bytes() for run in ("second", "third"))
    assert second == third
