"""Options for results that machines read, the same for every verb."""

from __future__ import annotations

import argparse


def add_json_option(parser: argparse.ArgumentParser, what: str, option: str = "--json") -> None:
    """``--json FILE``, where ``-`` is standard output."""
    parser.add_argument(option, metavar="FILE", help=f"write {what} as JSON; - for standard output")


def add_junit_option(
    parser: argparse.ArgumentParser, what: str = "the outcomes", option: str = "--junit"
) -> None:
    """``--junit FILE``."""
    parser.add_argument(option, metavar="FILE", help=f"write {what} as JUnit XML")
