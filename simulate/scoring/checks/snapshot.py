"""``snapshot``: the conversation, or the tools that were called in it, are those of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

from simulate.errors import HarnessFault
from simulate.model.expect import Snapshot
from simulate.model.json_path import parse_path, remove_path
from simulate.model.json_values import plain
from simulate.model.matchers import mismatch
from simulate.model.verdict import Verdict
from simulate.model.whole_file import write_whole
from simulate.scoring.checks.check import Check, Evidence, judges
from simulate.scoring.checks.tools import BLIND
from simulate.trace.reading import Unknown
from simulate.trace.redaction.mask import SecretMask

HEAD = "# written by --update; a value may be a matcher, such as {any: true}\n"


@judges(Snapshot)
class SnapshotCheck(Check[Snapshot]):
    """What happened is what the file says; ``--update`` writes it."""

    def describe(self) -> str:
        what = "the tool calls are" if self.expectation.of == "tools" else "the transcript is"
        return f"{what} as in {self.expectation.snapshot}"

    async def judge(self, evidence: Evidence) -> Verdict:
        word = self.expectation
        happened = _tools(evidence) if word.of == "tools" else _transcript(evidence)
        if isinstance(happened, Unknown):
            return self.verdict("not_run", happened.why, hint=BLIND)
        happened = SecretMask().value(plain(happened))
        for path in word.ignore:
            remove_path(happened, parse_path(path, short=True))
        file = (evidence.folder or Path.cwd()) / word.snapshot
        if evidence.update_snapshots:
            text = yaml.safe_dump(happened, allow_unicode=True, sort_keys=False, width=100)
            write_whole(file, (HEAD + text).encode())
            return self.verdict("passed", f"{len(happened)} entries written to {file}")
        if not file.is_file():
            hint = "write it with --update (pytest: --simulate-update), and read what it holds"
            return self.verdict("not_run", f"there is no {file}", hint=hint)
        return self._compare(_read(file, word.ignore), happened, file)

    def _compare(self, expected: list[Any], happened: list[Any], file: Path) -> Verdict:
        for at, (wanted, given) in enumerate(zip(expected, happened, strict=False)):
            found = _difference(wanted, given)
            if found is not None:
                return self._differs(f"entry {at + 1} differs: {found}", wanted, given, file)
        if len(expected) > len(happened):
            missing = expected[len(happened)]
            return self._differs(f"entry {len(happened) + 1} never came", missing, None, file)
        if len(happened) > len(expected):
            more = happened[len(expected)]
            return self._differs(f"entry {len(expected) + 1} is not expected", None, more, file)
        return self.verdict("passed", f"{len(happened)} entries as in {file.name}")

    def _differs(self, fact: str, expected: Any, actual: Any, file: Path) -> Verdict:
        hint = f"to accept it, write {file} anew with --update"
        return self.verdict("failed", fact, expected=expected, actual=actual, hint=hint)


def _difference(wanted: Any, given: Any) -> str | None:
    """The first difference; objects have no more keys than the file says, and its values may be matchers."""
    found = mismatch(wanted, given)
    if found is not None or not isinstance(wanted, dict) or not isinstance(given, dict):
        return found
    known, there = cast("dict[str, Any]", wanted), cast("dict[str, Any]", given)
    for key in there:
        if key not in known:
            return f"$.{key}: not expected"
        extra = _difference(known[key], there[key]) if isinstance(known[key], dict) else None
        if extra is not None:
            return extra
    return None


def _tools(evidence: Evidence) -> list[dict[str, Any]] | Unknown:
    if evidence.no_tools_because:
        return Unknown(evidence.no_tools_because)
    entries: list[dict[str, Any]] = []
    for call in evidence.tool_calls:
        if call.happened is False:
            continue
        if isinstance(call.happened, Unknown):
            return call.happened
        if isinstance(call.arguments, Unknown):
            return Unknown(f"the arguments of {call} are unknown: {call.arguments.why}")
        entries.append({"called": str(call.name), "with": call.arguments})
    return entries


def _transcript(evidence: Evidence) -> list[dict[str, Any]]:
    return [{said.speaker: said.received} for said in evidence.conversation.utterances]


def _read(file: Path, ignore: list[str]) -> list[Any]:
    try:
        given: Any = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise HarnessFault(f"cannot be read: {error}", where=str(file)) from error
    if given is not None and not isinstance(given, list):
        raise HarnessFault("a snapshot is a list", where=str(file), hint="write it anew with --update")
    entries = cast("list[Any]", given or [])
    for path in ignore:
        remove_path(entries, parse_path(path, short=True))
    return entries
