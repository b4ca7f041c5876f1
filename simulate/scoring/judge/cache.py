"""Judgements kept by the content of their question, so that the same is never paid for twice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

from simulate.model.whole_file import write_whole
from simulate.scoring.judge.question import Judgement


class Cache:
    """In memory, and in a folder where one is given: one JSON file a judgement."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._kept: dict[str, Judgement] = {}

    @staticmethod
    def key(*parts: str) -> str:
        """A name for what these parts are."""
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()

    def get(self, key: str) -> Judgement | None:
        """The judgement kept under this name; a file that cannot be read is as good as none."""
        found = self._kept.get(key)
        if found is None and self.folder is not None:
            try:
                found = Judgement(**json.loads(self._path(key).read_bytes()))
            except (OSError, ValueError, TypeError):
                return None
        if found is None:
            return None
        self._kept[key] = found
        return replace(found, cached=True)

    def put(self, key: str, judgement: Judgement) -> None:
        """Keep a judgement; a file is whole or not there."""
        self._kept[key] = judgement
        if self.folder is None:
            return
        write_whole(self._path(key), json.dumps(asdict(judgement), ensure_ascii=False, indent=1).encode())

    def _path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{key}.json"
