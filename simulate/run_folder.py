"""A run on disk: what finished is there whole, whatever happens next.

Each outcome gets a folder, moved into place when all its files are written; then one line in
``outcomes.jsonl``, flushed to the disk, says that it counts. A killed run loses what was under way and
nothing else.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simulate.errors import EnvironmentFault, InputError
from simulate.model.lock_file import LockFile
from simulate.model.outcome import Outcome, RunRecord
from simulate.model.outcome_json import (
    outcome_from_json,
    outcome_to_json,
    run_from_json,
    run_to_json,
)
from simulate.model.whole_file import HALF_WRITTEN, write_whole
from simulate.trace.files.writing import write_otlp_jsonl

SCENARIO = "scenario.yaml"
"""In an outcome's folder: its scenario as it was written then."""
RUNS = Path(".simulate") / "runs"


def new_run_id() -> str:
    """Sorts by time; unique without asking anyone."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


class RunFolder:
    """One run's folder. Only one process writes into it: the one that holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = path / "outcomes.jsonl"
        self._lock = LockFile(path / ".lock")

    @classmethod
    def create(cls, path: Path, *, resume: bool = False) -> RunFolder:
        """Make the folder, or take up one that a killed run left; refused where another run is at work."""
        folder = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            folder._take_lock()
            if not resume and folder._lines.exists():
                folder.close()
                raise InputError(
                    f"{path} already holds a run",
                    hint=f"--resume {path} continues it; or give another --out",
                )
            (path / ".gitignore").write_text("*\n")
        except OSError as error:
            raise InputError(f"cannot write into the run folder {path}: {error.strerror or error}") from error
        folder._mend()
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run, to read."""
        folder = cls(path)
        if not (path / "run.json").is_file():
            raise InputError(f"{path} holds no run (no run.json)")
        return folder

    def _take_lock(self) -> None:
        holder = self._lock.take()
        if holder is not None:
            raise InputError(f"another run ({holder}) is writing into {self.path}", hint="give another --out")

    def _mend(self) -> None:
        """Cut off a line that a kill left half written, and remove what never became an outcome."""
        if self._lines.exists():
            data = self._lines.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if whole != data:
                self._lines.write_bytes(whole)
        for left in self.path.glob(".tmp-*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in self.path.glob(HALF_WRITTEN):
            left.unlink(missing_ok=True)

    def scratch(self, name: str) -> Path:
        """A folder for what is written while a conversation lasts, such as its recording."""
        path = self.path / f".tmp-{name}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def write_run(self, record: RunRecord) -> None:
        """``run.json``, replaced as a whole."""
        write_whole(self.path / "run.json", run_to_json(record), b"\n")

    def read_run(self) -> RunRecord:
        """What ran."""
        path = self.path / "run.json"
        return run_from_json(path.read_bytes(), where=str(path))

    def begun(self) -> RunRecord | None:
        """What ran here before, where this is a run that goes on."""
        return self.read_run() if (self.path / "run.json").is_file() else None

    def add(
        self,
        name: str,
        outcome: Outcome,
        own_spans: Iterable[Any] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write all files of an outcome, then let it count; ``files`` came from a process that wrote them."""
        scratch = self.scratch(name)
        final = self.path / name
        outcome.folder = str(final)
        if outcome.recording is not None:
            outcome.recording = str(final / Path(outcome.recording).name)
        line = outcome_to_json(outcome)
        try:
            (scratch / "outcome.json").write_bytes(line + b"\n")
            if files is None:
                _write_files(scratch, outcome, list(own_spans))
            for file, data in (files or {}).items():
                (scratch / file).parent.mkdir(parents=True, exist_ok=True)
                (scratch / file).write_bytes(data)
            if final.exists():
                shutil.rmtree(final)
            scratch.rename(final)
            self._append(line)
        except OSError as error:
            raise EnvironmentFault(
                f"cannot keep the outcome: {error.strerror or error}",
                where=str(final),
                hint="what had finished before is kept; free some space, then continue with --resume",
            ) from error

    def take_over(self, outcome: Outcome) -> None:
        """Let an outcome of another folder count in this one: its files are moved here."""
        before = Path(outcome.folder or "")
        final = self.path / before.name
        before.rename(final)
        outcome.folder = str(final)
        if outcome.recording is not None:
            outcome.recording = str(final / Path(outcome.recording).name)
        line = outcome_to_json(outcome)
        write_whole(final / "outcome.json", line, b"\n")
        self._append(line)

    def sync(self) -> None:
        """Flush the list of outcomes to the disk; one flush may serve several that ended together."""
        with self._lines.open("ab") as file:
            os.fsync(file.fileno())

    def _append(self, line: bytes) -> None:
        with self._lines.open("ab", buffering=0) as file:
            whole = file.tell()
            try:
                if file.write(line + b"\n") <= len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                # the disk is full: half a line would make the next one unreadable too
                file.truncate(whole)
                raise

    def outcomes(self) -> Iterator[Outcome]:
        """Every finished outcome, one after the other."""
        if not self._lines.exists():
            return
        with self._lines.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield outcome_from_json(line, where=f"{self._lines}:{number}")

    def forget(self, names: Collection[str]) -> None:
        """Remove these outcomes, so that they can be had again."""
        kept = [each for each in self.outcomes() if Path(each.folder or each.key).name not in names]
        write_whole(self._lines, *(outcome_to_json(each) + b"\n" for each in kept))
        for name in names:
            shutil.rmtree(self.path / name, ignore_errors=True)

    def remove(self) -> bool:
        """Remove the whole run; False where another process is writing into it."""
        if self._lock.take() is not None:
            return False
        shutil.rmtree(self.path)
        self._lock.release()
        return True

    def progress(self) -> str:
        """``4 of 12 conversations``: how far the run came."""
        record, finished = self.begun(), sum(1 for _ in self.outcomes())
        planned = None if record is None else record.planned
        return f"{finished} of {planned or 'an unknown number of'} conversations"

    def close(self) -> None:
        """Let another run have the folder."""
        self._lock.release()


def _write_files(folder: Path, outcome: Outcome, own_spans: list[Any]) -> None:
    write_otlp_jsonl(folder / "trace.otlp.jsonl", outcome.trace or ())
    if own_spans:
        write_otlp_jsonl(folder / "caller.otlp.jsonl", own_spans)


def find_run(name: str | None = None, root: Path = RUNS) -> Path:
    """A run by folder or id; the latest one without a name."""
    if name is not None:
        for path in (Path(name), root / name):
            if (path / "run.json").is_file():
                return path
        raise InputError(f"there is no run {name!r}, neither as a folder nor under {root}")
    runs = sorted(path.parent for path in root.glob("*/run.json"))
    if not runs:
        raise InputError(f"there is no run under {root}", hint="simulate run scenarios/ makes one")
    return runs[-1]
