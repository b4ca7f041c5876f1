"""Verbs and their sub-verbs, whose modules are imported only when they are asked for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


class VerbParser(argparse.ArgumentParser):
    """The parser of one verb: its module is imported and declares its options once it is the one in use.

    So ``simulate --help`` imports no verb at all, and a verb imports at its top what it needs."""

    load: Callable[[], ModuleType] | None = None
    """Imports the module of the verb; None once that is done."""

    def declare(self) -> None:
        """Import the module of the verb and have it declare its options; only the first call does."""
        if self.load is None:
            return
        module, self.load = self.load(), None
        module.configure(self)
        if hasattr(module, "execute"):
            self.set_defaults(execute=module.execute)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What argparse calls with the words behind the verb; typeshed has it as two overloads."""
        self.declare()
        return super().parse_known_args(args, namespace)


def add_no_code_option(parser: argparse.ArgumentParser) -> None:
    """``--no-code``, for every verb that reads files which may name code; `main` sees to it."""
    parser.add_argument(
        "--no-code",
        action="store_true",
        help="refuse whatever would run code that a file or an address names: see docs/safety.md",
    )


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """What traces are found by, in files and on a server."""
    add = parser.add_argument
    add("--user", metavar="ID", help="of this user")
    add("--session", metavar="ID", help="of this session or conversation")
    add("--tenant", metavar="ID", help="of this tenant")
    add("--since", metavar="WHEN", help="began then or later: 2026-11-30T14:05, or an age: 2h")
    add("--until", metavar="WHEN", help="began before then")
    add("--tool", metavar="NAME", help="called this tool")
    add("--error", action="store_true", help="has a span that failed")
    add("--cost", metavar="BOUND", help="'>0.05': US dollars of all model calls")
    add(
        "--score", metavar="BOUND", action="append", default=[],
        help="'Groundedness<0.7': a score that the trace carries; may be given several times",
    )  # fmt: skip
    add("--limit", type=int, default=50, metavar="N", help="the N latest (default: 50)")


def add_verbs(
    parser: argparse.ArgumentParser,
    verbs: Mapping[str, str],
    module_of: Callable[[str], ModuleType],
    *,
    required: bool = False,
    metavar: str = "VERB",
) -> None:
    """Add each verb with its line of help; ``module_of`` imports the module of one."""
    actions = parser.add_subparsers(
        dest=metavar.lower(), metavar=metavar, required=required, parser_class=VerbParser
    )
    for name, text in verbs.items():
        sub = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        sub.load = lambda name=name: module_of(name)
