"""Languages of personas: who speaks and hears them, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hibari", reason="needs the extra voice")
pytest.importorskip("moonshine_voice", reason="needs the extra voice")

from simulate.conversation.voice.embedded_speech import Hibari, Moonshine
from simulate.conversation.voice.openai_speech import OpenAISTT, OpenAITTS
from simulate.conversation.voice.senses import Senses, prepare
from simulate.conversation.voice.tts_cache import CachedTTS
from simulate.errors import InputError
from simulate.model.scenario import Scenario


def persona(**speaks: Any) -> Scenario:
    voice = {"name": speaks.pop("voice")} if "voice" in speaks else {}
    given = {"name": "x", "medium": "voice", "opens_with": "Hola", "agent": "ws://127.0.0.1:1"}
    return Scenario.model_validate({**given, "persona": {"speaks": speaks, "voice": voice}})


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATE_SPEECH_BASE_URL", "http://127.0.0.1:1/v1")


def test_what_cannot_be_spoken_or_heard_is_refused_with_what_can() -> None:
    senses = Senses(CachedTTS(Hibari()), Moonshine())
    prepare(persona(language="en"), senses)
    with pytest.raises(InputError, match="hibari speaks English alone") as told:
        prepare(persona(language="es"), senses)
    assert "moonshine understands English alone" in told.value.message
    assert "espeak" in str(told.value.hint) and 'stt = "openai"' in str(told.value.hint)


@pytest.mark.usefixtures("endpoint")
def test_a_service_is_told_the_language() -> None:
    senses = Senses(CachedTTS(OpenAITTS()), OpenAISTT())
    prepare(persona(language="es-MX"), senses)
    other = senses.for_persona(persona(language="es-MX"))
    assert isinstance(other.stt, OpenAISTT) and other.stt._language == "es"
    assert senses.for_persona(persona(language="en")) is senses
    with pytest.raises(InputError, match="moonshine understands English alone"):
        prepare(persona(language="es"), Senses(CachedTTS(OpenAITTS()), Moonshine()))


@pytest.mark.usefixtures("endpoint")
def test_a_voice_may_be_of_a_program_that_speaks_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    senses = Senses(CachedTTS(Hibari()), OpenAISTT())
    prepare(persona(language="de", voice="espeak:de"), senses)
    with pytest.raises(InputError, match="hibari speaks English alone"):
        prepare(persona(language="de"), senses)


def test_no_voice_is_downloaded_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    monkeypatch.delenv("SIMULATE_DOWNLOAD_VOICES", raising=False)
    with pytest.raises(InputError, match="nothing is downloaded unasked"):
        Hibari().check("kore")
    Hibari().check("heart")
    monkeypatch.setenv("SIMULATE_DOWNLOAD_VOICES", "1")
    Hibari().check("kore")
