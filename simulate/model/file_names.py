"""Ids that are safe as file names."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

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
