"""Languages of personas: who speaks and hears them, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hibari", reason="needs the extra voice")
pytest.importorskip("moonshine_voice", reason="needs the extra voice")

from simulate.conversation.voice.embedded_speech import Hibari, Moonshine
from simulate.conversation.voice.normalise import normalise, says
from simulate.conversation.voice.openai_speech import OpenAISTT, OpenAITTS
from simulate.conversation.voice.program_voices import Program
from simulate.conversation.voice.senses import Senses, prepare
from simulate.conversation.voice.tts_cache import CachedTTS
from simulate.errors import InputError
from simulate.model.persona import Persona, Voice
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


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """espeak-ng's library alone: no program is on PATH."""
    pytest.importorskip("espeakng_loader", reason="needs the extra languages")
    monkeypatch.setenv("PATH", "")


@pytest.mark.usefixtures("library")
async def test_the_library_speaks_every_language_that_it_has_and_refuses_others() -> None:
    spanish = Program("espeak").in_language("es")
    line = "Hola, mi pedido no ha llegado."
    usual, woman = await spanish.say(line), await spanish.say(line, "es+f2")
    assert usual.seconds > 1.5 and usual.samples.tobytes() != woman.samples.tobytes()
    assert (await spanish.say(line)).samples.tobytes() == usual.samples.tobytes()
    assert (await spanish.say(line, speed=1.5)).seconds < 0.8 * usual.seconds
    for code in ("de", "fr", "zh", "hi", "ar"):
        Program("espeak").in_language(code)
    with pytest.raises(InputError, match="espeak-ng has no voice 'xx'"):
        Program("espeak").in_language("xx")


@pytest.mark.usefixtures("library", "endpoint")
def test_a_persona_gets_the_voice_that_is_nearest_to_it() -> None:
    senses = Senses(CachedTTS(Program("espeak")), OpenAISTT())

    def voice(**voice: Any) -> str | None:
        speaks = {"language": voice.pop("language", "en"), "accent": voice.pop("accent", None)}
        scenario = persona(**speaks)
        person = scenario.persona.model_copy(update={"voice": Voice(**voice)})  # type: ignore[union-attr]
        return senses.for_persona(scenario).voice_name(person)

    assert voice() is None and voice(name="en-gb", gender="female") == "en-gb"
    assert voice(gender="female") == "en-us+f2" and voice(gender="male", age=70) == "en-us+m8"
    assert (
        voice(language="es", gender="female") == "es+f2"
        and voice(accent="a Scottish one") == "en-gb-scotland"
    )
    assert Senses(CachedTTS(Hibari()), Moonshine()).voice_name(Persona(voice=Voice(gender="male"))) is None


def test_number_words_of_other_languages_are_numbers() -> None:
    assert normalise("Die Nummer ist vierundachtzig.", "de") == normalise("Die Nummer ist 84.", "de")
    assert says("son cuarenta y dos euros", "42 euros", "es") and not says("son cuarenta euros", "42", "es")
