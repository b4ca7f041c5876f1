"""A golden dataset on disk: plain files that read well, diff well and cannot change unnoticed.

::

    golden/
        cases/<id>.yaml          a scenario: what the caller says, what the tools answer, what must hold
        origins/<id>.yaml        where it comes from, why it is there, who verified it
        traces/<id>.otlp.jsonl   the redacted trace that it was made from
        versions.jsonl           one line a change; the version is a hash of everything above

A case is an ordinary scenario file, so `simulate run golden/cases` and pytest read it too. Line endings do
not count, since git may change them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from simulate.errors import InputError
from simulate.model.expect import Scores
from simulate.model.loading.yaml_reader import read_plain
from simulate.model.nearest import did_you_mean
from simulate.model.scenario import Scenario
from simulate.model.shapes import is_object
from simulate.model.whole_file import write_whole
from simulate.scenario_files import load_scenarios
from simulate.scoring.checks.scores import reference_of
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.trace.conversations import whole_file

if TYPE_CHECKING:
    from simulate.scoring.evaluators.evaluation_context import EvaluationContext

FOLDERS = {"cases": ".yaml", "origins": ".yaml", "traces": ".otlp.jsonl"}
EMPTY = "0" * 12
"""The version before the first case."""


@dataclass(frozen=True, slots=True)
class Version:
    """One line of ``versions.jsonl``."""

    version: str
    parent: str
    date: str
    change: str
    cases: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    """Case → its digest since this version; None where it was removed."""


@dataclass(frozen=True, slots=True)
class DatasetCase:
    """One regression case."""

    id: str
    scenario: Path
    trace: Path
    origin: dict[str, Any]

    @property
    def verified(self) -> str | None:
        """Who says that its expectations are right."""
        found = self.origin.get("verified")
        return str(found.get("by")) if is_object(found) else None

    def materials(self) -> Iterator[EvaluationContext]:
        """The trace that it was made from, for `evaluate`, with what it says is right."""
        scenario = Scenario.load(self.scenario)
        given = next((one.reference for one in scenario.expect if isinstance(one, Scores)), None)
        yield EvaluationContext(whole_file(self.trace), reference_of(scenario, given))


class Dataset:
    """The files of one dataset. Reading checks nothing; `check` refuses what was changed by hand."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.log = self.path / "versions.jsonl"

    @classmethod
    def open(cls, path: Path | str) -> Dataset:
        """A dataset that is there; InputError where there is none."""
        found = cls(path)
        if not found.log.is_file():
            raise InputError(
                "there is no dataset here", where=str(path), hint="simulate dataset add makes one"
            )
        return found

    # -- reading -----------------------------------------------------------------------------------------

    def ids(self) -> list[str]:
        """Every case's id, in order."""
        return sorted(path.name.removesuffix(".yaml") for path in (self.path / "cases").glob("*.yaml"))

    def case(self, name: str) -> DatasetCase:
        """A case by its id or a part of it that no other id has."""
        known = self.ids()
        fitting = [name] if name in known else [each for each in known if name in each]
        if len(fitting) > 1:
            told = ", ".join(fitting[:5]) + (" …" if len(fitting) > 5 else "")
            raise InputError(f"{name!r} is in {len(fitting)} cases: {told}", where=str(self.path))
        if not fitting:
            told = f"there is no case {name!r}{did_you_mean(name, known)}"
            raise InputError(told, where=str(self.path), hint="simulate dataset list names them")
        return self._case(fitting[0])

    def cases(self) -> list[DatasetCase]:
        """All cases."""
        return [self._case(each) for each in self.ids()]

    def materials(self) -> Iterator[EvaluationContext]:
        """What to score of all cases: ``await evaluate(Dataset.open("golden").materials())``. Raises
        InputError where something was changed by hand."""
        self.check()
        for case in self.cases():
            yield from case.materials()

    def _case(self, name: str) -> DatasetCase:
        origin = self.file("origins", name)
        found: Any = read_plain(origin) if origin.is_file() else {}
        if not is_object(found):
            raise InputError("an origin is a mapping", where=str(origin))
        known = found
        return DatasetCase(name, self.file("cases", name), self.file("traces", name), known)

    def file(self, kind: str, name: str) -> Path:
        """Where a part of a case lies."""
        return self.path / kind / f"{name}{FOLDERS[kind]}"

    def versions(self) -> list[Version]:
        """Every version, the oldest first. InputError names the line that is none, or where two follow
        one."""
        found: list[Version] = []
        for where, version in self._lines():
            if version is None:
                raise InputError(
                    "two versions in conflict: git could not merge them", where=where, hint=MERGE
                )
            before = found[-1].version if found else EMPTY
            if version.parent != before:
                same = next((each for each in found if each.parent == version.parent), None)
                told = f"{version.version} follows {version.parent}"
                told += f", and so does {same.version}" if same else ", which is not there"
                raise InputError(f"two versions in conflict: {told}", where=where, hint=MERGE)
            found.append(version)
        return found

    def _lines(self) -> Iterator[tuple[str, Version | None]]:
        """Each line's place and version; None for a mark that git left."""
        try:
            text = self.log.read_text(encoding="utf-8") if self.log.is_file() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read: {error}", where=str(self.log)) from None
        for number, line in enumerate(text.splitlines(), 1):
            where = f"{self.log}:{number}"
            if line.startswith(("<<<<<<<", "|||||||", "=======", ">>>>>>>")):
                yield where, None
                continue
            try:
                yield where, _version(json.loads(line))
            except (ValueError, TypeError) as error:
                hint = "take the file back from git; simulate dataset accept then adds what changed"
                raise InputError(f"not a version: {error}", where=where, hint=hint) from None

    @property
    def version(self) -> str:
        """The version that was written down last."""
        versions = self.versions()
        return versions[-1].version if versions else EMPTY

    def digests(self) -> dict[str, str]:
        """Case → hash of what its files hold now."""
        return {name: self._digest(name) for name in self.ids()}

    def _digest(self, name: str) -> str:
        found = hashlib.sha256()
        for kind in FOLDERS:
            path = self.file(kind, name)
            data = path.read_bytes().replace(b"\r\n", b"\n") if path.is_file() else b""
            found.update(len(data).to_bytes(8, "big") + data)
        return found.hexdigest()[:16]

    def edited(self) -> dict[str, str]:
        """Cases that are not as their version says: ``changed``, ``added`` or ``removed`` by hand."""
        known, now = _known(self.versions()), self.digests()
        found = {name: "added" for name in now if name not in known}
        found |= {name: "removed" for name in known if name not in now}
        return found | {name: "changed" for name in now if name in known and now[name] != known[name]}

    def check(self) -> None:
        """Refuse a dataset whose files are not those of its last version."""
        edited = self.edited()
        if edited:
            told = "; ".join(f"{name} was {how}" for name, how in sorted(edited.items())[:5])
            more = " …" if len(edited) > 5 else ""
            raise InputError(
                f"this is not version {self.version} any more: {told}{more}",
                where=str(self.path),
                hint="`git diff` shows it; simulate dataset accept makes it a version, in your name",
            )

    # -- writing -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def alone(self) -> Generator[None]:
        """Others who change this dataset wait until we are done (on Windows they do not)."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot be a dataset: {error.strerror}", where=str(self.path)) from error
        if sys.platform == "win32":
            yield
            return
        import fcntl  # Windows has none

        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def put(self, name: str, *, scenario: str, origin: Mapping[str, Any], trace: bytes) -> None:
        """Write the files of a case, what makes it one last; `record` makes it count."""
        write_whole(self.file("traces", name), trace)
        write_whole(self.file("origins", name), dump(origin).encode())
        write_whole(self.file("cases", name), scenario.encode())

    def accept(self, by: str, verify: Iterable[str] = ()) -> Version:
        """Make the files as they are now a version, also where two versions are in conflict; ``by`` says
        that the cases in ``verify`` are right. Raises FileProblems where a case is no longer a scenario."""
        with self.alone():
            if self.ids():
                load_scenarios([self.file("cases", name) for name in self.ids()])
            lacking = [each.id for each in self.cases() if not each.trace.is_file()]
            if lacking:
                hint = "take the trace back from git, or remove the case's other files, too"
                raise InputError(f"{lacking[0]} has no trace any more", where=str(self.path), hint=hint)
            verified = [self.case(name).id for name in verify]
            for name in verified:
                self._verify(name, by)
            try:
                changed = sorted({*self.edited(), *verified})
                return self.record(f"accepted {', '.join(changed) or 'nothing'} by {by}")
            except InputError:  # a conflict; a line that is not a version at all is refused once more
                return self.record(f"accepted a merge by {by}", mends=True)

    def _verify(self, name: str, by: str) -> None:
        """Write down who says that a case is right."""
        case = self._case(name)
        origin = {**case.origin, "verified": {"by": by, "on": _today()}}
        write_whole(self.file("origins", name), dump(origin).encode())

    def drop(self, name: str) -> None:
        """Take the files of a case away; what makes it one first."""
        for kind in FOLDERS:
            self.file(kind, name).unlink(missing_ok=True)

    def record(self, change: str, *, mends: bool = False) -> Version:
        """Append the version that the files are now; the same one where nothing changed.

        With ``mends``, lines in conflict are put in order first: all are kept, and the new one follows."""
        versions = self._mended() if mends else self.versions()
        known, now = _known(versions), self.digests()
        delta: dict[str, str | None] = {}
        delta |= {name: digest for name, digest in now.items() if known.get(name) != digest}
        delta |= {name: None for name in known if name not in now}
        parent = versions[-1].version if versions else EMPTY
        whole = "\n".join(f"{name} {digest}" for name, digest in sorted(now.items()))
        version = Version(hashlib.sha256(whole.encode()).hexdigest()[:12], parent, _today(), change, delta)
        if delta or mends:
            lines = [json.dumps(asdict(each), ensure_ascii=False) for each in [*versions, version]]
            write_whole(self.log, ("\n".join(lines) + "\n").encode())
        return version

    def _mended(self) -> list[Version]:
        """All versions of both sides, one after the other."""
        read: list[Version] = []
        for _, version in self._lines():
            if version is not None and version not in read:
                read.append(version)
        parents = [EMPTY, *(each.version for each in read)]
        return [replace(each, parent=parent) for each, parent in zip(read, parents, strict=False)]


MERGE = "keep both sides' files, then simulate dataset accept DIR --by NAME writes the version that they make"


class _Plain(yaml.SafeDumper):
    """Writes what stands twice twice: anchors and aliases are hard to read and to correct."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _number(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    """Without an exponent, which our loader takes for a text."""
    text = f"{Decimal(repr(value)):f}" if math.isfinite(value) else str(value)
    return yaml.ScalarNode("tag:yaml.org,2002:float", text if "." in text else f"{text}.0")


_Plain.add_representer(float, _number)


def dump(data: Mapping[str, Any]) -> str:
    """YAML that diffs well: one key a line, in the given order."""
    return yaml.dump(dict(data), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)


def _known(versions: Iterable[Version]) -> dict[str, str]:
    """Case → digest, once all these versions are told."""
    found: dict[str, str | None] = {}
    for version in versions:
        found |= version.cases
    return {name: digest for name, digest in found.items() if digest is not None}


def _version(data: Any) -> Version:
    """TypeError where it is none."""
    found = Version(**data)
    texts = (found.version, found.parent, found.date, found.change)
    if not all(isinstance(each, str) for each in texts) or not isinstance(found.cases, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("version, parent, date and change are texts, and cases is a mapping")
    return found


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
