"""A caller of the user's own: ``caller: python:module:Class``."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulate.conversation.callers.caller import ActionRecord, HangUp, Listen, Say
from simulate.errors import AddressError, SimulatorFault
from simulate.load_object import load_object, own_traceback
from simulate.model.persona import Persona
from simulate.model.transcript import Conversation
from simulate.user_code import meant_for_us


def load_caller(address: str, root: Path | None) -> Callable[..., Any]:
    """What makes a caller: a class or a function that takes nothing, or the persona. Raises AddressError."""
    name = f"caller: {address}"
    found = load_object(address.removeprefix("python:"), name, root)
    if not callable(found):
        raise AddressError(f"{name}: is of type {type(found).__name__}; a caller is a class or a function")
    _takes_persona(found, name)
    return found


def _takes_persona(make: Callable[..., Any], name: str) -> bool:
    signature = inspect.signature(make)
    for takes, arguments in ((False, ()), (True, (None,))):
        with contextlib.suppress(TypeError):
            signature.bind(*arguments)
            return takes
    raise AddressError(f"{name}: must be callable without arguments, or with the persona alone")


class OwnCaller:
    """Plays the caller by an object with ``say(conversation)``, plain or async.

    It is given what was said so far, ``[{"speaker": "agent", "text": …, "turn": 1}, …]``, and returns what
    the caller says next, or None to hang up."""

    def __init__(
        self, make: Callable[..., Any], address: str, persona: Persona, *, agent_first: bool
    ) -> None:
        self._address = address
        self._agent_first = agent_first
        given = (persona.model_dump(mode="json", exclude_none=True),) if _takes_persona(make, address) else ()
        self._made: Any = None
        self._make = lambda: make(*given)

    async def act(self, conversation: Conversation) -> ActionRecord:
        """What the object says, once the agent has spoken where it speaks first."""
        if self._agent_first and not conversation.utterances:
            self._agent_first = False
            return Listen()
        said = [
            {"speaker": each.speaker, "text": each.received, "turn": each.turn}
            for each in conversation.utterances
        ]
        try:
            self._made = self._made or self._make()
            text = self._made.say(said)
            text = await text if inspect.isawaitable(text) else text
        except BaseException as error:
            if meant_for_us(error):
                raise
            raise SimulatorFault(
                f"the caller {self._address} raised {type(error).__name__}: {error}",
                proof=own_traceback(error),
            ) from error
        if text is None:
            return HangUp("the caller hung up")
        if not isinstance(text, str) or not text.strip():
            raise SimulatorFault(
                f"the caller {self._address} gave {text!r:.100}",
                hint="say() returns a text, or None to hang up",
            )
        return Say(text)

    def finish(self, conversation: Conversation) -> list[str]:
        """It leaves nothing unsaid."""
        return []
