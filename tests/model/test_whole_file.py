"""A file is written whole beside its place; what is no file stays what it is."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from simulate.model.whole_file import write_whole


def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"all ", b"of it")
    reader.join()
    assert read == [b"all of it"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_stays_one_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "latest.json"
    link.symlink_to("elsewhere/report.json")
    for text in (b"first", b"second"):
        write_whole(link, text)
        assert link.is_symlink()
        assert (tmp_path / "elsewhere" / "report.json").read_bytes() == text
    assert [each.name for each in (tmp_path / "elsewhere").iterdir()] == ["report.json"]
