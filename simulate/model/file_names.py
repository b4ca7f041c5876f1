"""Ids that are safe as file names."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from simulate.model.trial import TrialSpec

MAX_SLUG = 80
"""Bytes of UTF-8; an id of two such parts and a trial fits every file system's 255."""
_RESERVED = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")  # names that Windows keeps for itself


def slug(text: str) -> str:
    """``Refund for a parcel!`` → ``refund-for-a-parcel``. Letters of every script stay; a long one is cut and
    told apart by a digest."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    made = "-".join(re.findall(r"\w+", unicodedata.normalize("NFC", folded)))
    if not made or _RESERVED.fullmatch(made):
        made = f"scenario-{made}".rstrip("-")
    if len(made.encode()) <= MAX_SLUG:
        return made
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
    return made.encode()[: MAX_SLUG - 9].decode(errors="ignore").rstrip("-") + f"-{digest}"


def with_unique_ids(specs: Sequence[TrialSpec], root: Path) -> list[TrialSpec]:
    """The same trials under ids that are unique among them. Whoever loads the same files, by whatever path,
    gives them the same ids: files count by their path from ``root``."""
    ids = unique_ids([(each.scenario.name, each.case, _from(root, each.file)) for each in specs])
    shared = {name for name, files in files_by_name(specs).items() if len(files) > 1}
    return [
        replace(each, id=unique, title=f"{name} ({each.file})" if name in shared else "")
        for each, unique in zip(specs, ids, strict=True)
        for name in [each.scenario.name]
    ]


def files_by_name(found: Iterable[TrialSpec]) -> dict[str, dict[str, TrialSpec]]:
    """The files in which scenarios of each name stand, with the first of each file."""
    files: dict[str, dict[str, TrialSpec]] = {}
    for each in found:
        files.setdefault(each.scenario.name, {}).setdefault(each.file, each)
    return files


def _from(root: Path, file: str) -> str:
    try:
        return os.path.relpath(file, root) if file else ""
    except ValueError:  # another drive of Windows
        return file


def unique_ids(parts: Sequence[tuple[str, str | None, str]]) -> list[str]:
    """Ids of (name, case, file): ``name`` or ``name[case]``. Where two files use one name, each
    is followed by its file's, so that no id depends on the order of files."""
    slugs = [slug(name) for name, _, _ in parts]
    files: dict[str, set[str]] = {}
    for made, (_, _, file) in zip(slugs, parts, strict=True):
        files.setdefault(made, set()).add(file)
    stems = Counter((made, slug(Path(file).stem)) for made in files for file in files[made])
    ids: list[str] = []
    taken: set[str] = set()
    for made, (_, case, file) in zip(slugs, parts, strict=True):
        base = made
        if len(files[made]) > 1:
            stem = slug(Path(file).stem)
            alone = stems[made, stem] == 1
            base = f"{made}-{stem}" if alone else f"{made}-{slug(str(Path(file).with_suffix('')))}"
        full = f"{base}[{slug(case)}]" if case is not None else base
        number, candidate = 1, full
        while candidate in taken:
            number += 1
            candidate = f"{base}[{slug(case)}-{number}]" if case is not None else f"{base}-{number}"
        taken.add(candidate)
        ids.append(candidate)
    return ids
