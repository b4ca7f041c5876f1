"""``simulate schema``: what editors need to complete and check scenario and persona files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from simulate.errors import EnvironmentFault, InputError
from simulate.interfaces.cli import say
from simulate.model.loading.schema import KINDS, Kind, file_name, json_schema
from simulate.model.whole_file import write_whole


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", choices=("scenario", "persona"), help="default: scenario")
    parser.add_argument(
        "--write", metavar="DIR", type=Path, help="write scenario.schema.json and persona.schema.json there"
    )


def execute(args: argparse.Namespace) -> int:
    if args.write is None:
        say(schema_text(args.kind or "scenario"), end="")
        return 0
    for kind in KINDS:
        if args.kind in (None, kind):
            path = args.write / file_name(kind)
            write_text(path, schema_text(kind))
            say(path)
    return 0


def write_text(path: Path, text: str) -> None:
    """Whole or not at all; raises InputError where the folder cannot be written."""
    try:
        write_whole(path, text.encode())
    except EnvironmentFault as error:
        raise InputError(error.message, where=error.where) from error


def schema_text(kind: Kind) -> str:
    """The schema as its file holds it."""
    return json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n"
