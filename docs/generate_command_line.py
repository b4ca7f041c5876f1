"""Write the page of the command line from its own help: ``python docs/generate_command_line.py``.

A test holds the page to what this would write (`tests/test_docs.py`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).resolve().with_name("command-line.md")
sys.path.insert(0, str(PAGE.parents[1]))

from simulate.interfaces.cli.main import VERBS, module_of  # noqa: E402
from simulate.interfaces.cli.verbs import VerbParser  # noqa: E402

INTRODUCTION = """# The command line

<!-- made from the commands' own help by docs/generate_command_line.py -->

Results go to standard output, progress and remarks to standard error; `--json -` is for machines.

| exit code | it means |
|---|---|
| 0 | everything passed |
| 1 | the agent failed an expectation, two traces differ, or a gate is breached |
| 2 | refused: bad input or usage; nothing ran |
| 3 | no verdict, and nothing against the agent: the simulator, the harness or the environment broke |

Where 1 and 3 meet, 1 wins. Ctrl-C, SIGTERM and SIGHUP end in order and keep what had finished; what still
runs after 10 seconds is killed. `simulate run --resume latest` goes on.
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for verb, text in VERBS.items():
        parser = argparse.ArgumentParser(prog=f"simulate {verb}", description=text, add_help=False)
        module_of(verb).configure(parser)
        parts += _section(parser, "##")
    return "\n".join(parts)


def _section(parser: argparse.ArgumentParser, level: str) -> Iterator[str]:
    if isinstance(parser, VerbParser):
        parser.declare()
    yield f"{level} {parser.prog}\n"
    yield f"{_sentence(parser.description or '')}\n"
    rows = [row for action in parser._actions for row in _row(action)]
    if rows:
        yield "\n".join(["| | |", "|---|---|", *rows, ""])
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from _section(sub, level + "#")


def _row(action: argparse.Action) -> Iterator[str]:
    if isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
        return
    given = (
        ""
        if action.nargs == 0
        else action.metavar
        or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper())
    )
    many = {"*": " …", "+": " …"}.get(str(action.nargs), "")
    written = ", ".join(action.option_strings)
    name = f"{written} {given}{many}".strip()
    help_text = (action.help or "").replace("%%", "%")
    help_text = help_text.replace("|", "\\|").replace("<", "&lt;")
    yield f"| `{name}` | {help_text} |"


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
