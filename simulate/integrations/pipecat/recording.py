"""What a bot's speech services gave, frame by frame: kept in a cassette, and given again at the same pace.

A service's own ``run_tts`` and ``run_stt`` are the seam, whoever sells it: recorded are the frames that they
yield, each with the milliseconds since it was asked (``frames.jsonl``; sound as blobs). So much for models in
this process. A service that asks for its frames over the network is recorded there, by `simulate.replay`, as
the models are; the manifest names it, and in a replay it runs for real against what was recorded.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import time
import types
from collections.abc import AsyncGenerator, Callable
from typing import Any, Literal, Self

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterimTranscriptionFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601

from simulate import determinism
from simulate.conversation.voice.speech_services import find_tts
from simulate.replay.cassette.bodies import blob_reader
from simulate.replay.matching.divergence import Divergence
from simulate.replay.record_session import RecordSession
from simulate.replay.replay_session import ReplaySession
from simulate.replay.session import current

Kind = Literal["tts", "stt"]
_OVER_NETWORK = "speech_over_network"
"""In a manifest: the classes of the services that ask for their frames over the network."""
Asking = Callable[..., AsyncGenerator[Frame | None, None]]


# private names of Pipecat are used: tests/test_private_names.py lists them, with the version tried
@functools.cache
def know_services() -> None:
    """Let services that start within a recorded or replayed call go through its cassette. All others start as
    ever: nothing is looked at but whether the call that they belong to has a cassette."""
    for base, kind in ((TTSService, "tts"), (STTService, "stt")):
        base.start = _starting(base.start, kind)  # type: ignore[method-assign]


def _starting(start: Any, kind: Kind) -> Any:
    @functools.wraps(start)
    async def starting(service: Any, frame: StartFrame) -> None:
        session, name = current(), f"run_{kind}"
        if session is not None and name not in vars(service):
            run, known_as = getattr(service, name), type(service).__name__
            if isinstance(session, RecordSession):
                setattr(service, name, _recording(session, run, kind, known_as))
            elif session.cassette.match == "chat":
                setattr(service, name, types.MethodType(_playing(TraceTape.of(session), run, kind), service))
            elif known_as not in session.cassette.manifest.get(_OVER_NETWORK, ()):
                taped = _playing(SpeechTape.of(session), run, kind)
                setattr(service, name, types.MethodType(taped, service))
        await start(service, frame)

    return starting


def _recording(recorder: RecordSession, run: Asking, kind: Kind, service: str) -> Asking:
    async def recorded(asked: Any, *more: Any) -> AsyncGenerator[Frame | None, None]:
        over_network = recorder.manifest.get(_OVER_NETWORK, ())
        if service in over_network:
            async for frame in run(asked, *more):
                yield frame
            return
        began, passed = time.perf_counter(), recorder.passed
        gave: list[dict[str, Any]] = []
        entry: dict[str, Any] = {"kind": kind, "turn": recorder.turn_of(), "gave": gave}
        entry |= {"text": recorder.rules.text(asked)} if kind == "tts" else {"bytes": len(asked)}
        recorder.frames.append(entry)
        async for frame in run(asked, *more):
            kept = _kept(frame, recorder)
            if kept is not None:
                gave.append({"at": round((time.perf_counter() - began) * 1000, 3), **kept})
            yield frame
        if recorder.passed != passed:
            recorder.frames.remove(entry)
            recorder.manifest[_OVER_NETWORK] = sorted({*over_network, service})

    return recorded


def _kept(frame: Frame | None, recorder: RecordSession) -> dict[str, Any] | None:
    """A frame as the cassette holds it; None for one that is not speech."""
    match frame:
        case TTSAudioRawFrame():
            name = hashlib.sha256(frame.audio).hexdigest()
            recorder.blobs[name] = frame.audio
            return {"frame": "audio", "blob": name, "rate": frame.sample_rate, "channels": frame.num_channels}
        case TranscriptionFrame() | InterimTranscriptionFrame():
            final = isinstance(frame, TranscriptionFrame)
            language = None if frame.language is None else str(frame.language.value)
            text = recorder.rules.text(frame.text)
            return {"frame": "final" if final else "interim", "text": text, "language": language}
        case ErrorFrame():
            return {"frame": "error", "text": recorder.rules.text(frame.error)}
        case _:
            return None


class SpeechTape:
    """The frames of one replayed call: sentences by their text, what was heard in its order."""

    def __init__(self, player: ReplaySession) -> None:
        self.player = player
        self.left = list(player.cassette.frames)

    @classmethod
    def of(cls, player: ReplaySession) -> Self:
        """The tape of this replay, the same for all services of the call."""
        found: Self | None = getattr(player, "tape", None)
        if found is None:
            found = cls(player)
            player.tape = found  # type: ignore[attr-defined]
        return found

    async def asked(self, kind: Kind, text: str | None) -> list[dict[str, Any]] | None:
        """What was given then; None where it was never asked for, which the replay's verdict tells."""
        if text is not None:
            text = self.player.rules.text(text)
        for entry in self.left:
            if entry["kind"] == kind and (text is None or entry["text"] == text):
                self.left.remove(entry)
                return list(entry["gave"])
        what = "speech recognition" if text is None else f"the sentence “{text}”"
        self.player.note(Divergence("never_recorded", what, "extra call", ["extra call"]))
        return None

    def frame(self, kept: dict[str, Any], context: str | None) -> Frame:
        """The frame that was given."""
        match kept["frame"]:
            case "audio":
                folder = self.player.cassette.folder
                known = self.player.cassette.blobs.get(kept["blob"])
                sound = known if known is not None or folder is None else blob_reader(folder)(kept["blob"])
                return TTSAudioRawFrame(sound or b"", kept["rate"], kept["channels"], context_id=context)
            case "error":
                return ErrorFrame(kept["text"])
            case name:
                made = TranscriptionFrame if name == "final" else InterimTranscriptionFrame
                return made(kept["text"], "", time_now_iso8601(), _language(kept["language"]))


class TraceTape(SpeechTape):
    """A production trace in its place, which holds no sound: what was heard in a turn comes with the first
    sound of that turn, and a voice of ours says what the agent's is asked to say."""

    def __init__(self, player: ReplaySession) -> None:
        super().__init__(player)
        self._lines = {
            said["turn"]: said["text"] for said in player.cassette.conversation if said["speaker"] == "caller"
        }

    async def asked(self, kind: Kind, text: str | None) -> list[dict[str, Any]] | None:
        """A final transcript, or sound."""
        if text is None:
            heard = self._lines.pop(self.player.turn_of() or 0, "")
            return [{"at": 0.0, "frame": "final", "text": heard, "language": None}] if heard else []
        sound = await find_tts().say(text)
        name = hashlib.sha256(sound.samples.tobytes()).hexdigest()
        self.player.cassette.blobs[name] = sound.samples.tobytes()
        return [{"at": 0.0, "frame": "audio", "blob": name, "rate": sound.rate, "channels": 1}]


def _language(code: str | None) -> Any:
    return None if code is None else Language(code)


def _playing(tape: SpeechTape, run: Asking, kind: Kind) -> Any:
    async def played(
        service: Any, asked: Any, context_id: str | None = None
    ) -> AsyncGenerator[Frame | None, None]:
        gave = await tape.asked(kind, asked if kind == "tts" else None)
        if gave is None and tape.player.policy in ("live", "nearest", "simulate"):
            async for frame in run(asked) if kind == "stt" else run(asked, context_id):
                yield frame
            return
        passed = 0.0
        for kept in gave or ():
            await determinism.current().clock.sleep(max(0.0, kept["at"] / 1000 - passed))
            passed = max(passed, kept["at"] / 1000)
            frame = tape.frame(kept, context_id)
            if kind == "tts":
                await service.stop_ttfb_metrics()
                _write_text(service, asked, context_id)
            elif isinstance(frame, TranscriptionFrame):
                # what services call for their own span
                handled = getattr(service, "_handle_transcription", None)
                if handled is not None and len(inspect.signature(handled).parameters) == 3:
                    await handled(frame.text, True, frame.language)
            yield frame

    return played


def _write_text(service: Any, text: str, context: str | None) -> None:
    """Onto the service's span, as Pipecat's decorator of the ``run_tts`` that is not called would do."""
    entry = getattr(service, "_tts_spans", {}).get(context)
    if entry is not None and text not in (said := service._tts_texts.setdefault(context, [])):
        said.append(text)
        entry["span"].set_attribute("text", " ".join(said))
        entry["span"].set_attribute("metrics.character_count", sum(map(len, said)))


def finish() -> None:
    """The call is over: note what of its recording was not asked for again."""
    session = current()
    if isinstance(session, ReplaySession):
        # a bot that spoke on in real time may have been asked for more than in virtual time: no divergence
        left = getattr(getattr(session, "tape", None), "left", [])
        if left:
            session.notes.append(f"{len(left)} recorded pieces of speech were not asked for again")
