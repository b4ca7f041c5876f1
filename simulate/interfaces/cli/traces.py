"""``simulate traces``: the traces that a server keeps. One module holds its few sub-verbs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulate.errors import InputError
from simulate.interfaces.cli import say
from simulate.interfaces.cli.verbs import add_search_options

if TYPE_CHECKING:
    from simulate.server.client import Client

SERVER = "SIMULATE_SERVER"
KEY = "SIMULATE_KEY"
USUAL = "http://127.0.0.1:4318"


def add_key_option(parser: argparse.ArgumentParser) -> None:
    """``--key``, which never holds the key itself."""
    parser.add_argument(
        "--key",
        metavar="env:NAME",
        help=f"variable with the key, where the server demands one (default env:{KEY})",
    )


def client(address: str, key: str | None) -> Client:
    """The server at an address, with the key of a variable."""
    from simulate.server.client import Client

    if key is not None and not key.startswith("env:"):
        raise InputError("a key is not written on the command line", hint="--key env:NAME")
    return Client(address, os.environ.get((key or f"env:{KEY}").removeprefix("env:")))


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-verbs."""
    verbs = parser.add_subparsers(dest="traces_verb", metavar="SUB-VERB", required=True)
    find = _sub(verbs, "find", "which traces are so, newest first")
    find.add_argument("--filter", metavar="QUERY", help="'user=u-7 kind=TOOL error score.Groundedness<0.7'")
    find.add_argument("--text", metavar="WORDS", help="words that are in it")
    add_search_options(find)
    find.add_argument("--json", action="store_true", help="one JSON object a line")
    show = _sub(verbs, "show", "the tree of a trace, with what was said")
    show.add_argument("trace", metavar="ID")
    export = _sub(verbs, "export", "the spans of a trace as OTLP JSON lines")
    export.add_argument("trace", metavar="ID", nargs="+")
    export.add_argument("-o", "--out", required=True, metavar="FILE")
    test = _sub(verbs, "test", "a scenario and a cassette of a trace, in the project's folder")
    test.add_argument("trace", metavar="ID")
    test.add_argument("--name", metavar="TEXT", help="what the scenario is called")
    test.add_argument("--dir", type=Path, default=Path(), metavar="DIR", help="the project's folder")


def _sub(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    sub: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=f"{text.capitalize()}.")
    sub.add_argument(
        "--server", default=os.environ.get(SERVER, USUAL), metavar="URL",
        help=f"the server (default: {SERVER}, or {USUAL})",
    )  # fmt: skip
    add_key_option(sub)
    return sub


def execute(args: argparse.Namespace) -> int:
    """Exit code 0, also where nothing is found: looking is not a judgement."""
    server = client(args.server, args.key)
    verbs = {"find": _find, "show": _show, "export": _export, "test": _test}
    return verbs[args.traces_verb](server, args)


def _find(server: Client, args: argparse.Namespace) -> int:
    query = {
        "filter": _search(args), "text": args.text, "since": args.since, "until": args.until,
        "limit": str(args.limit),
    }  # fmt: skip
    found = server.get("/api/v1/traces", query)
    for row in found["traces"]:
        if args.json:
            say(json.dumps(row))
        else:
            say(_line(row))
    if not found["traces"] and not args.json:
        say("no trace is like that")
    if found["unseen"]:
        say("! time was up before all of them were read; narrow the time with --since", file=sys.stderr)
    elif found["next"]:
        say("! there are more; --limit shows more of them", file=sys.stderr)
    return 0


def _search(args: argparse.Namespace) -> str:
    """The options in the server's own language."""
    import shlex

    from simulate.trace.find import Bound

    words = [
        f"{name}={value}" for name in ("user", "session", "tenant", "tool") if (value := getattr(args, name))
    ]
    if args.error:
        words.append("status=error")
    if args.cost is not None:
        words.append(f"trace.cost{Bound.parse(args.cost, '--cost', named=False)}")
    words += [f"score.{Bound.parse(each, '--score', named=True)}" for each in args.score]
    return " ".join(filter(None, [args.filter, shlex.join(words)]))


def _line(row: dict[str, Any]) -> str:
    from simulate.model.text import dollars

    began = datetime.fromtimestamp(row["began_ns"] / 1e9).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    user = next(iter(row["tags"].get("user", ())), "–")
    cost = "–" if row["dollars"] is None else dollars(row["dollars"])
    state = f"failed: {row['failing']}" if row["failing"] else "no error"
    state += f", {row['breached']} below threshold" if row["breached"] else ""
    state += f", rated {row['feedback']}" if row["feedback"] else ""
    return f"{began}  {user:<16}  {cost:>9}  {row['trace_id']}  {state}"


def _spans(server: Client, trace_id: str) -> Any:
    from simulate.trace.otlp.decode import from_json

    return list(from_json(server.get(server.trace_path(trace_id, "/otlp"))))


def _show(server: Client, args: argparse.Namespace) -> int:
    import shutil

    from simulate.interfaces.render.trace_tree import TreeOptions, lines
    from simulate.trace.reading import TraceReading
    from simulate.trace.span import Trace
    from simulate.trace.tree import build

    trace = Trace(args.trace, _spans(server, args.trace))
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    for each in lines(build(trace), TreeOptions(TraceReading(trace), width, content=True)):
        say(each)
    return 0


def _export(server: Client, args: argparse.Namespace) -> int:
    from simulate.trace.files.writing import write_otlp_jsonl

    write_otlp_jsonl(args.out, [span for trace_id in args.trace for span in _spans(server, trace_id)])
    say(f"wrote {args.out}", file=sys.stderr)
    return 0


def _test(server: Client, args: argparse.Namespace) -> int:
    import io
    import zipfile

    data = server.download(server.trace_path(args.trace, "/test"), {"name": args.name})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        root = args.dir.resolve()
        for name in archive.namelist():
            target = (root / name).resolve()
            if not target.is_relative_to(root):  # whatever server that is
                raise InputError(f"the server's archive leaves the folder: {name}")
            if target.exists():
                raise InputError(
                    "already exists and was left unchanged", where=str(target), hint="take another --name"
                )
        archive.extractall(root)
        scenario = next(
            name for name in archive.namelist() if name.endswith(".yaml") and "cassettes" not in name
        )
    say(f"wrote {args.dir / scenario}")
    cassettes = args.dir / "scenarios" / "cassettes"
    say(f"\nNow: simulate run {args.dir / scenario} --agent ADDRESS --replay {cassettes}")
    return 0
