"""A call as plain samples over a WebSocket: binary messages, or JSON around base64 as a description says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from pydantic import AfterValidator, Field, ValidationError

from simulate.conversation.voice import g711
from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.pcm import HIGHEST_RATE, LOWEST_RATE, RATE, Samples
from simulate.conversation.voice.resampling import Resampler
from simulate.conversation.voice.socket_wire import SocketWire
from simulate.errors import InputError
from simulate.integrations.sockets.messages import as_base64, parsed, sound_of
from simulate.model.base import Strict
from simulate.model.shapes import is_object
from simulate.model.units import Data

SOUND = "{{audio}}"
"""Where the sound goes in a described message, in base64."""

Rate = Annotated[int, Field(ge=LOWEST_RATE, le=HIGHEST_RATE)]
Fields = dict[str, Data]


def _with_sound(message: Fields) -> Fields:
    if _place_of_sound(message) is None:
        raise ValueError(f"does not say where the sound goes: write {SOUND} as the whole value of a field")
    return message


def _place_of_sound(shape: Fields) -> list[str] | None:
    """The names of the fields that lead to the sound; None where none does."""
    for name, value in shape.items():
        if value == SOUND:
            return [name]
        inner = _place_of_sound(value) if is_object(value) else None
        if inner is not None:
            return [name, *inner]
    return None


class PcmDescription(Strict):
    """``options`` of an agent at ``pcm:ws://…``. A message of the agent is of a kind if it has all of that
    kind's fields; what is of no kind is passed over."""

    rate: Rate = 16_000
    """Samples a second of the caller's sound."""
    agent_rate: Rate | None = None
    """Of the agent's; left out: the same."""
    encoding: Literal["pcm16", "mulaw"] = "pcm16"
    """``pcm16``: 16 bits, little endian, one channel."""
    sends: Annotated[Fields, AfterValidator(_with_sound)] | None = None
    """Each 20 ms of the caller, as JSON; left out: binary messages."""
    takes: Annotated[Fields, AfterValidator(_with_sound)] | None = None
    """The agent's sound, as JSON."""
    clears: Fields | None = None
    """What the agent sends to take back what was not heard yet."""
    ends: Fields | None = None
    """What the agent sends to hang up, if it does not close the connection."""
    begins: Fields | None = None
    """What is sent before the first sound."""
    hangs_up: Fields | None = None
    """What is sent when the caller hangs up."""

    @classmethod
    def of(cls, options: Mapping[str, Any], where: str) -> PcmDescription:
        """As a project's table says; raises InputError with the place."""
        try:
            return cls.model_validate(dict(options))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(step) for step in first["loc"])
            raise InputError(f"options.{place}: {first['msg']}", where=where) from error


class PcmWire(SocketWire):
    """Carries one call."""

    def __init__(self, url: str, headers: Mapping[str, str], about: PcmDescription) -> None:
        super().__init__(url, headers)
        self._about = about
        self.tells_cuts = about.clears is not None
        self._out = Resampler(RATE, about.rate)
        self._in = Resampler(about.agent_rate or about.rate, RATE)
        self._half = b""

    async def begin(self, line: AudioBridge) -> None:
        """What the description says comes first."""
        await self._say(self._about.begins)

    async def end(self) -> None:
        """What it says comes last."""
        await self._say(self._about.hangs_up)

    async def send(self, frame: Samples) -> None:
        """20 ms of the caller."""
        samples = self._out(frame)
        mulaw = self._about.encoding == "mulaw"
        data = g711.to_mu_law(samples) if mulaw else samples.astype("<i2").tobytes()
        if self._about.sends is None:
            await self.put(data)
        else:
            await self.put(orjson.dumps(_filled(self._about.sends, as_base64(data))).decode())

    async def take(self, line: AudioBridge, message: str | bytes) -> None:
        """The agent's sound, or what else the description knows."""
        if isinstance(message, bytes):
            self._hear(line, message)
            return
        about = self._about
        if about.takes is None and about.clears is None and about.ends is None:
            return
        told = parsed(message)
        if about.takes is not None and (found := _sound_in(about.takes, told)) is not None:
            self._hear(line, sound_of(found, "a message"))
        elif about.clears is not None and _fits(about.clears, told):
            line.flush()
        elif about.ends is not None and _fits(about.ends, told):
            line.close("the agent hung up")

    def _hear(self, line: AudioBridge, data: bytes) -> None:
        if self._about.encoding == "mulaw":
            samples = g711.from_mu_law(data)
        else:
            data = self._half + data
            whole = len(data) // 2 * 2
            self._half = data[whole:]
            samples = np.frombuffer(data[:whole], "<i2").astype(np.int16)
        line.incoming(self._in(samples, line.now))

    async def _say(self, message: Fields | None) -> None:
        if message is not None:
            await self.put(orjson.dumps(message).decode())


def _filled(shape: Any, sound: str) -> Any:
    if isinstance(shape, dict):
        return {key: _filled(value, sound) for key, value in shape.items()}  # pyright: ignore[reportUnknownVariableType]
    return sound if shape == SOUND else shape


def _sound_in(shape: Fields, told: Any) -> Any:
    """What is told where the shape has the sound; None where the rest differs."""
    if not _fits(shape, told):
        return None
    for name in _place_of_sound(shape) or ():
        told = told[name]
    return told


def _fits(shape: Any, told: Any) -> bool:
    if isinstance(shape, dict):
        fields: dict[str, Any] = shape  # pyright: ignore[reportUnknownVariableType]
        return isinstance(told, dict) and all(key in told and _fits(fields[key], told[key]) for key in fields)
    return shape in (SOUND, told)
