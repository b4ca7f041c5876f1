"""espeak-ng as a library, which the package ``espeakng-loader`` carries with its voices.

It is GPL-3, so it is an extra of its own (``languages``). It runs in a process of its own for each line,
where what it said before does not change the sound: ``espeak_library.py VOICE WORDS_A_MINUTE < text > raw``.
Raw is 16-bit mono at `RATE`. Without words a minute, its exit code tells whether there is such a voice."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys
from functools import cache
from typing import Any

RATE = 22_050
_SYNCHRONOUS, _DONT_EXIT, _UTF8, _CHARACTERS, _SPEED = 2, 0x8000, 1, 1, 1  # of speak_lib.h, API 12
_NAMES = {"en-gb": "en", "zh": "cmn"}
"""Codes that its program takes for another name."""
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def has_library() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("espeakng_loader") is not None


def command(voice: str, *words_a_minute: int) -> list[str]:
    """What speaks, or checks a voice."""
    return [sys.executable, "-P", __file__, voice, *map(str, words_a_minute)]


@cache
def has_voice(voice: str) -> bool:
    """Whether there is such a voice, or one of this language."""
    return subprocess.run(command(voice), check=False, capture_output=True, timeout=30).returncode == 0


def main() -> int:
    """Speak what stdin holds."""
    import espeakng_loader  # pyright: ignore[reportMissingImports, reportMissingTypeStubs] - an optional extra

    loader: Any = espeakng_loader
    voice, *speed = sys.argv[1:]
    library = ctypes.CDLL(str(loader.get_library_path()))
    if library.espeak_Initialize(_SYNCHRONOUS, 0, str(loader.get_data_path()).encode(), _DONT_EXIT) != RATE:
        return 3
    language, plus, variant = voice.partition("+")
    if library.espeak_SetVoiceByName(f"{_NAMES.get(language, language)}{plus}{variant}".encode()):
        return 2
    if not speed:
        return 0

    def hear(wave: Any, count: int, _: Any) -> int:
        if wave and count > 0:
            sys.stdout.buffer.write(ctypes.string_at(wave, count * 2))
        return 0

    callback = _Callback(hear)
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetParameter(_SPEED, int(speed[0]), 0)
    text = sys.stdin.buffer.read() + b"\0"
    library.espeak_Synth(text, len(text), 0, _CHARACTERS, 0, _UTF8, None, None)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
