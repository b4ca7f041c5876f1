"""``simulate new``: a first scenario and persona, and a tiny agent where there is none yet."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path

from simulate.errors import InputError
from simulate.interfaces.cli import say, trace_sources
from simulate.interfaces.cli.schema import schema_text, write_text
from simulate.masking import without_secrets
from simulate.model.file_names import slug
from simulate.model.loading.places import SUFFIXES
from simulate.model.loading.project import Project, project_root
from simulate.model.loading.schema import KINDS, file_name
from simulate.model.loading.yaml_reader import scalar
from simulate.replay.from_trace import cassette_of
from simulate.replay.matching.rules import default_rules
from simulate.replay.scenario_draft import scenario_from
from simulate.trace.conversations import only
from simulate.trace.reading import TraceReading

AGENT_FILE = "first_agent.py"
PERSONA = "patient_customer"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what the scenario is called, in your own words")
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="the project's folder (default: the one you are in)"
    )
    parser.add_argument(
        "--from-trace", action="append", metavar="PATH",
        help="make scenario and cassette from a production conversation: a trace file or a folder of them; "
        "may be given several times",
    )  # fmt: skip
    trace_sources.add_reading_options(parser)
    parser.add_argument("--partial", action="store_true", help="take the part of the trace that is complete")


def execute(args: argparse.Namespace) -> int:
    name = " ".join(args.name.split())
    if not name:
        raise InputError("a scenario needs a name", hint='simulate new "Where is my parcel"')
    if without_secrets(name) != name:
        raise InputError("a scenario's name may hold no secret: it is in every report of a run", where=name)
    root: Path = args.dir or Path()
    scenario = _folder(root) / f"{slug(name).replace('-', '_')}.yaml"
    persona = root / "personas" / f"{PERSONA}.yaml"
    if scenario.exists():
        raise InputError(
            "already exists and was left unchanged", where=str(scenario), hint="take another name"
        )
    if args.from_trace is not None:
        return _from_trace(args, name, scenario, root)
    try:
        # a folder that is not there yet would be taken for a file of the one above
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror or error}", where=str(root)) from None
    agent, agent_file = _agent(Project.find(root), root)

    form = _SCENARIO if agent_file is not None else _SCENARIO_FOR_YOURS
    files: dict[Path, str] = {}
    if not persona.exists():
        files[persona] = _PERSONA
    if agent_file is not None and not agent_file.exists():
        files[agent_file] = _AGENT
    for kind, folder in zip(KINDS, (scenario.parent, persona.parent), strict=True):
        files[folder / file_name(kind)] = schema_text(kind)
    # last: where it is, what it needs is there too
    files[scenario] = form.format(name=_quoted(name), agent=_quoted(agent), persona=PERSONA)
    for path, text in files.items():
        write_text(path, text)
        say(f"wrote {path}")
    go = "" if args.dir is None else f"cd {root} && "
    say(f"\nNow: {go}simulate run {scenario.relative_to(root)}")
    return 0


def _folder(root: Path) -> Path:
    """Where the project of ``root`` has its scenarios."""
    if project_root(root) != Path(os.path.abspath(root)):
        return root / "scenarios"
    folders = [path for path in Project.find(root).scenarios if path.suffix not in SUFFIXES]
    first = folders[0] if folders else root / "scenarios"
    return root / os.path.relpath(first, root)


def _from_trace(args: argparse.Namespace, name: str, scenario: Path, root: Path) -> int:
    found = trace_sources.conversations(args, *args.from_trace)
    # traces of a health check or of a job are none that a caller could have had
    asking = [trace for trace in found if TraceReading(trace).llm_calls] or found
    cassette = cassette_of(
        only(asking, ", ".join(args.from_trace)), rules=default_rules(), partial=args.partial
    )
    cassette.manifest["scenario"] = name
    text = scenario_from(cassette, name)
    folder = cassette.save(scenario.parent / "cassettes" / slug(name))
    write_text(scenario, text)
    say(f"wrote {scenario}\nwrote {folder}")
    run = f"simulate run {scenario} --agent ADDRESS --replay {folder.parent}"
    say(f"\nNow: simulate replay {folder} --agent ADDRESS\nand: {run}")
    return 0


def _agent(project: Project, root: Path) -> tuple[str, Path | None]:
    """The project's first agent by its name, else the address of a file of ours."""
    if project.agents:
        return next(iter(project.agents)), None
    # an address is read from the project's folder, which may be above this one
    file = root / AGENT_FILE
    below = file.resolve().relative_to(project.root.resolve())
    return f"python:{below.as_posix()}:agent", file


def _quoted(text: str) -> str:
    """As YAML: with quotes only where it needs them."""
    safe = re.fullmatch(r"[^\W_][\w .,()/;!?'’&+-]*(?::[\w./][\w.:/]*)?", text) and isinstance(
        scalar(text), str
    )
    return text if safe and text == text.strip() else json.dumps(text, ensure_ascii=False)


_SCENARIO = """\
# yaml-language-server: $schema=scenario.schema.json
name: {name}
agent: {agent}
persona: {persona}

opens_with: Hello, where is my order 4417?
script:                     # said word for word; with a `goal:`, a model improvises the rest
  - says: Thank you, that is all.
    when: {{said: "4417"}}

tools:                      # the world, pinned: the agent's tools answer this
  lookup_order: {{status: on its way, arrives: Friday}}

expect:
  - called: lookup_order
    with: {{order_id: "4417"}}
  - said: {{contains: Friday}}
  - not_said: {{contains: refund}}
  - clean_text: true          # no placeholders, no JSON, nothing cut off or said twice
  - replied_within: 5s

limits: {{turns: 6, time: 60s}}
"""

_SCENARIO_FOR_YOURS = """\
# yaml-language-server: $schema=scenario.schema.json
name: {name}
agent: {agent}
persona: {persona}

script:                     # said word for word; with a `goal:`, a model improvises the rest
  - says: Hello, where is my order 4417?
  - says: Thank you, that is all.

# tools:                    # the world, pinned: your agent's tools answer this
#   lookup_order: {{status: on its way, arrives: Friday}}

expect:                     # what holds of any agent; what yours should do goes here
  - replied_within: 10s
  - clean_text: true          # no placeholders, no JSON, nothing cut off or said twice
# - called: lookup_order
#   with: {{order_id: "4417"}}
# - said: {{contains: Friday}}

limits: {{turns: 6, time: 60s}}
"""

_PERSONA = """\
# yaml-language-server: $schema=persona.schema.json
description: Bought a present that should arrive before the weekend.
traits: [patient, polite]
knows:                      # name, address and the like are drawn from the run's seed
  order_id: "4417"
speaks: {language: en, verbosity: terse, punctuation: correct}
"""

_AGENT = '''\
"""A tiny agent to begin with: put your own in its place, here or under `agent:` in the scenario."""

import re

from simulate.tools import tool


@tool
def lookup_order(order_id: str) -> dict[str, str]:
    """What the shop knows about an order. A scenario pins the answer under `tools:`."""
    return {"status": "unknown", "arrives": "some day"}


def agent(message: str) -> str:
    """Answers one message of the caller."""
    found = re.search(r"\\d{4}", message)
    if found is None:
        return "You are welcome. Goodbye!"
    order = lookup_order(order_id=found[0])
    return f"Order {found[0]} is {order['status']} and arrives on {order['arrives']}."
'''
