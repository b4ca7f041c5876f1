"""LiveKit's SDK hands each event of the process to every room and every stream in it. With twenty calls at
once that is twenty times twenty, more than a processor can do, so each is given its own only.

Done on inner parts of the SDK (livekit 1.1 and 1.2): where they look otherwise, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulate.model.shapes import is_list

if TYPE_CHECKING:
    from livekit import rtc

_NOT_FOR_ROOMS = frozenset({"audio_stream_event", "video_stream_event", "capture_audio_frame"})


def room_hears_its_own(room: rtc.Room) -> None:
    """After connecting: no events of other rooms, nor the receipts of every frame that any source sends."""
    handle = _handle(room)

    def own(event: Any) -> bool:
        kind = event.WhichOneof("message")
        if kind == "room_event":
            return bool(event.room_event.room_handle == handle)
        return kind not in _NOT_FOR_ROOMS

    _narrow(room, handle, own)


def stream_hears_its_own(stream: rtc.AudioStream) -> None:
    """No frames of other streams."""
    handle = _handle(stream)

    def own(event: Any) -> bool:
        return bool(
            event.WhichOneof("message") == "audio_stream_event"
            and event.audio_stream_event.stream_handle == handle
        )

    _narrow(stream, handle, own)


# private names of livekit are used: tests/test_private_names.py lists them, with the version tried
def _handle(owner: Any) -> int | None:
    return getattr(getattr(owner, "_ffi_handle", None), "handle", None)


def _narrow(owner: Any, handle: int | None, own: Callable[[Any], bool]) -> None:
    from livekit.rtc import _ffi_client

    client: Any = getattr(_ffi_client, "FfiClient", None)
    events: Any = getattr(getattr(client, "instance", None), "queue", None)
    mine: Any = getattr(owner, "_ffi_queue", None)
    lock: Any = getattr(events, "_lock", None)
    subscribers: Any = getattr(events, "_subscribers", None)
    if handle is None or mine is None or lock is None or not is_list(subscribers):
        return
    entries = subscribers
    with lock:
        for index, entry in enumerate(entries):
            if isinstance(entry, tuple) and entry[0] is mine:
                entries[index] = (mine, entry[1], own)
