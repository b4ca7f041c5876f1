"""Options for results that machines read, the same for every verb."""

from __future__ import annotations

import argparse
from pathlib import Path


def folder(text: str) -> str:
    """The name of a folder that may be made: an argument's type."""
    try:
        is_other = Path(text).exists() and not Path(text).is_dir()
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text[:40]}… is no name of a folder: {error.args[-1]}") from None
    if is_other:
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return text


def add_json_option(parser: argparse.ArgumentParser, what: str, option: str = "--json") -> None:
    """``--json FILE``, where ``-`` is standard output."""
    parser.add_argument(option, metavar="FILE", help=f"write {what} as JSON; - for standard output")


def add_junit_option(
    parser: argparse.ArgumentParser, what: str = "the outcomes", option: str = "--junit"
) -> None:
    """``--junit FILE``."""
    parser.add_argument(option, metavar="FILE", help=f"write {what} as JUnit XML")
