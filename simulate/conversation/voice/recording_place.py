"""Where the recording of a call is kept."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from simulate.conversation.engine import TrialSession
from simulate.conversation.voice.pcm import RATE
from simulate.conversation.voice.recording import CallRecorder


def open_recording(session: TrialSession) -> CallRecorder:
    """Begin it; the session gets its path. What is judged by ear needs a recording: where no folder of
    results was asked for, it is a temporary file, which whoever has the outcome can copy until this process
    ends."""
    folder = session.spec.folder
    if folder is None:
        folder = tempfile.mkdtemp(prefix="simulate-call-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "recording.wav"
    recorder = CallRecorder(path, RATE)
    session.recording = str(path)
    return recorder
