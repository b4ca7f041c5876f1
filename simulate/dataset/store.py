"""A golden dataset on disk: plain files that read well, diff well and cannot change unnoticed.

::

    golden/
        cases/<id>.yaml          a scenario: what the caller says, what the tools answer, what must hold
        origins/<id>.yaml        where it comes from, why it is there, who verified it
        traces/<id>.otlp.jsonl   the redacted trace that it was made from
        versions.jsonl           one line a change; the version is a hash of everything above

A case is an ordinary scenario file, so `simulate run golden/cases` and pytest read it too. Line endings do
not count,
since git may change them.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import yaml

from simulate.errors import EnvironmentFault, InputError
from simulate.model.nearest import did_you_mean

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
class Case:
    """One regression case."""

    id: str
    scenario: Path
    trace: Path
    origin: dict[str, Any]

    @property
    def verified(self) -> str | None:
        """Who says that its expectations are right."""
        found = self.origin.get("verified")
        return str(cast("dict[str, Any]", found).get("by")) if isinstance(found, dict) else None


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

    def case(self, name: str) -> Case:
        """A case by its id or the beginning of it."""
        known = self.ids()
        fitting = [each for each in known if each == name] or [
            each for each in known if each.startswith(name)
        ]
        if len(fitting) != 1:
            told = f"{len(fitting)} cases begin with {name!r}" if fitting else f"there is no case {name!r}"
            raise InputError(told + ("" if fitting else did_you_mean(name, known)), where=str(self.path))
        return self._case(fitting[0])

    def cases(self) -> list[Case]:
        """All cases."""
        return [self._case(each) for each in self.ids()]

    def _case(self, name: str) -> Case:
        origin = self.file("origins", name)
        try:
            found: Any = yaml.safe_load(origin.read_text(encoding="utf-8")) if origin.is_file() else {}
        except yaml.YAMLError as error:
            raise InputError(f"not YAML: {error}", where=str(origin)) from None
        if not isinstance(found, dict):
            raise InputError("an origin is a mapping", where=str(origin))
        known = cast("dict[str, Any]", found)
        return Case(name, self.file("cases", name), self.file("traces", name), known)

    def file(self, kind: str, name: str) -> Path:
        """Where a part of a case lies."""
        return self.path / kind / f"{name}{FOLDERS[kind]}"

    def versions(self) -> list[Version]:
        """Every version, the oldest first. InputError names the line that is none, or where two follow
        one."""
        found: list[Version] = []
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.is_file() else []
        for number, line in enumerate(lines, 1):
            where = f"{self.log}:{number}"
            if line.startswith(("<<<<<<<", "=======", ">>>>>>>")):
                raise InputError(
                    "two versions in conflict: git could not merge them", where=where, hint=MERGE
                )
            try:
                version = Version(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise InputError(f"not a version: {error}", where=where) from None
            before = found[-1].version if found else EMPTY
            if version.parent != before:
                same = next((each for each in found if each.parent == version.parent), None)
                told = f"{version.version} follows {version.parent}"
                told += f", and so does {same.version}" if same else ", which is not there"
                raise InputError(f"two versions in conflict: {told}", where=where, hint=MERGE)
            found.append(version)
        return found

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
        known: dict[str, str] = {}
        for version in self.versions():
            known |= {name: digest for name, digest in version.cases.items() if digest is not None}
            for name, digest in version.cases.items():
                if digest is None:
                    known.pop(name, None)
        now = self.digests()
        found = {name: "added" for name in now if name not in known}
        found |= {name: "removed" for name in known if name not in now}
        return found | {name: "changed" for name in now if name in known and now[name] != known[name]}

    def check(self) -> None:
        """Refuse a dataset whose files are not those of its last version."""
        edited = self.edited()
        if edited:
            told = "; ".join(f"{name} was {how}" for name, how in sorted(edited.items())[:5])
            raise InputError(
                f"{len(edited)} cases are not as version {self.version} has them: {told}",
                where=str(self.path),
                hint="`git diff` shows it; simulate dataset accept makes it a version, in your name",
            )

    # -- writing -----------------------------------------------------------------------------------------

    def put(self, name: str, *, scenario: str, origin: Mapping[str, Any], trace: bytes) -> None:
        """Write the files of a case; `record` makes it count."""
        _write(self.file("cases", name), scenario.encode())
        _write(self.file("origins", name), dump(origin).encode())
        _write(self.file("traces", name), trace)

    def verify(self, name: str, by: str) -> None:
        """Write down who says that a case is right."""
        case = self._case(name)
        origin = {**case.origin, "verified": {"by": by, "on": _today()}}
        _write(self.file("origins", name), dump(origin).encode())

    def record(self, change: str, *, mends: bool = False) -> Version:
        """Append the version that the files are now; the same one where nothing changed.

        With ``mends``, lines in conflict are put in order first: all are kept, and the new one follows."""
        versions = self._mended() if mends else self.versions()
        known: dict[str, str] = {}
        for each in versions:
            known |= {name: digest or "" for name, digest in each.cases.items()}
        now = self.digests()
        delta: dict[str, str | None] = {}
        delta |= {name: digest for name, digest in now.items() if known.get(name) != digest}
        delta |= {name: None for name, digest in known.items() if digest and name not in now}
        parent = versions[-1].version if versions else EMPTY
        whole = "\n".join(f"{name} {digest}" for name, digest in sorted(now.items()))
        version = Version(hashlib.sha256(whole.encode()).hexdigest()[:12], parent, _today(), change, delta)
        if delta or mends:
            lines = [json.dumps(_plain(each), ensure_ascii=False) for each in [*versions, version]]
            _write(self.log, ("\n".join(lines) + "\n").encode())
        return version

    def _mended(self) -> list[Version]:
        found: list[Version] = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            if line.startswith(("<<<<<<<", "=======", ">>>>>>>")):
                continue
            version = Version(**json.loads(line))
            if all(version.version != each.version for each in found):
                found.append(Version(version.version, found[-1].version if found else EMPTY, version.date,
                                     version.change, version.cases))  # fmt: skip
        return found


MERGE = "keep both sides' files, then simulate dataset accept DIR --by NAME writes the version that they make"


def dump(data: Mapping[str, Any]) -> str:
    """YAML that diffs well: one key a line, in the given order."""
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100)


def _plain(version: Version) -> dict[str, Any]:
    return {name: getattr(version, name) for name in ("version", "parent", "date", "change", "cases")}


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def _write(path: Path, data: bytes) -> None:
    """The whole file, or none of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise EnvironmentFault(f"cannot write: {error.strerror or error}", where=str(path)) from error
