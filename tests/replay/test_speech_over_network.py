"""A Pipecat service for speech on the network is recorded and replayed by its messages, not by its frames."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pipecat", reason="needs the extra voice")

from simulate.replay import Cassette, record, replaying
from tests.replay.realtime import Realtime

pytestmark = [
    # Pipecat imports a module that Python 3.13 no longer has
    pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.* is deprecated since:DeprecationWarning"),
]


async def test_a_voice_on_the_network_is_asked_in_a_replay_too(tmp_path: Path) -> None:
    from tests.replay.pipecat_voice import say  # warns while it is imported

    async with Realtime().running() as service:
        async with record(tmp_path / "call"):
            sound = await say("Your table is ready.", service.base)
        assert sound and service.opened == 1
        cassette = Cassette.load(tmp_path / "call")
        assert cassette.manifest["speech_over_network"] == ["CartesiaTTSService"]
        assert not cassette.frames and len(cassette.streams) == 1
        async with replaying(tmp_path / "call") as player:
            assert await say("Your table is ready.", service.base) == sound
        assert player.report().passed, player.report().explain()
        async with replaying(tmp_path / "call") as player:
            await say("No table is free.", service.base)
        assert service.opened == 1
    assert "$.transcript" in player.report().explain()
