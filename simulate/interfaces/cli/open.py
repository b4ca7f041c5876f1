"""``simulate open RUN``: the HTML report in a browser."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path

from simulate.interfaces.cli import say
from simulate.interfaces.render.run_reports import REPORT, load_run, traces_of, write_pages
from simulate.run_folder import find_run


def configure(parser: argparse.ArgumentParser) -> None:
    """A run, and whether a browser should open."""
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        default="latest",
        help="a run's folder, its id, or latest (the default)",
    )
    parser.add_argument("--no-browser", action="store_true", help="only write the report and print its path")


def execute(args: argparse.Namespace) -> int:
    """Make the report where there is none or an outcome is younger than it, print its path, open it."""
    folder = _folder(args.run)
    report = folder / REPORT
    if _stale(folder, report):
        record, outcomes = load_run(folder)
        write_pages(report, record, outcomes, traces_of(folder))
    say(report)
    if not args.no_browser and not _browse(report):
        say("no browser could be opened; open the file above in one", file=sys.stderr)
    return 0


def _folder(name: str) -> Path:
    given = Path(name)
    if (given / "outcomes.jsonl").is_file():  # also one whose run.json a kill prevented
        return given
    return find_run(None if name == "latest" else name)


def _stale(folder: Path, report: Path) -> bool:
    if not report.is_file():
        return True
    written = report.stat().st_mtime
    sources = (folder / "run.json", folder / "outcomes.jsonl")
    return any(source.is_file() and source.stat().st_mtime > written for source in sources)


def _browse(report: Path) -> bool:
    return webbrowser.open(report.resolve().as_uri())
