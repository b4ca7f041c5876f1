"""``simulate replay SOURCE --from PLACE``: as recorded up to there, and from there in several variants."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from simulate.errors import InputError
from simulate.interfaces.cli import say
from simulate.interfaces.render.fork_html import ShownVariant, did
from simulate.model.outcome import Outcome
from simulate.model.reliability import wilson
from simulate.model.scenario import Scenario
from simulate.model.text import dollars
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.fork import Place, Variant
from simulate.replay.loaders import load_source
from simulate.replay.matching.recordings import HttpRecording
from simulate.replay.matching.rules import Rules
from simulate.replay.report import ReplayReport

RECORDED = "as recorded"


@dataclass
class VariantRuns:
    """What came of one variant, trial by trial; ``judged`` where something was expected of it."""

    name: str
    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    reports: list[ReplayReport] = field(default_factory=list[ReplayReport])
    judged: list[bool] = field(default_factory=list[bool])
    """Whether each trial met what was expected; a trial that cannot tell is left out."""

    def add(self, outcome: Outcome, reports: list[ReplayReport]) -> None:
        """Keep one trial. Nothing is judged by a model that gave no answer."""
        self.outcomes.append(outcome)
        self.reports += reports
        if outcome.status in {"passed", "failed"} and all(one.unreached is None for one in reports):
            self.judged.append(outcome.passed)

    @property
    def live(self) -> int:
        """How many calls really went out."""
        return sum(report.live_calls for report in self.reports)

    def told(self) -> list[str]:
        """What kept it from being judged, or from its fork."""
        found: list[str] = []
        for report in self.reports:
            found += [f"before the fork: {report.first}"] if report.first is not None else []
            found += [f"nothing was judged: {report.unreached}"] if report.unreached is not None else []
            found += [note for note in report.notes if "never reached" in note]
        return found


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a fork."""
    parser.add_argument(
        "--from",
        dest="place",
        metavar="PLACE",
        help="as recorded up to here, then live: a turn (3, turn:3) or a model call (call:7)",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        help="with --from: a variant with this model; with --stale: today's",
    )
    parser.add_argument(
        "--prompt",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="with --from: a variant with this system prompt",
    )
    parser.add_argument(
        "--answer",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="with --from: a variant with this answer at the fork",
    )
    parser.add_argument(
        "--tool",
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="with --from: a variant in which this tool gives that",
    )
    _comparing(parser)


def _comparing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--against",
        type=Path,
        metavar="SOURCE",
        help="which call decided it: try each answer of this other recording in its place",
    )
    parser.add_argument(
        "--trials",
        type=int,
        default=1,
        metavar="N",
        help="with --from or --against: how often each variant runs",
    )
    parser.add_argument(
        "--scenario", type=Path, metavar="FILE", help="what is expected, and what pinned tools answer"
    )


def variants(args: argparse.Namespace) -> list[Variant]:
    """One for each value of an option; none given: the same once more."""
    found = [Variant(f"model {name}", model=name) for name in args.model]
    found += [Variant(f"prompt {path.name}", prompt=_text(path)) for path in args.prompt]
    found += [Variant(f"answer {path.name}", answer=_text(path)) for path in args.answer]
    found += [_with_tool(text) for text in args.tool]
    return found or [Variant("once more")]


def _with_tool(text: str) -> Variant:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(
            f"{text!r} names no result", hint='write NAME=JSON, as --tool \'look_up={"status": "lost"}\''
        )
    try:
        given: Any = orjson.loads(value)
    except orjson.JSONDecodeError:
        given = value
    return Variant(f"tool {text}", tools={name: given})


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error


def interventions(cassette: Cassette, other: Cassette) -> list[tuple[Place, Variant]]:
    """For each model call of a recording, the answer of another recording's call in its place."""
    own, theirs = _model_calls(cassette), _model_calls(other)
    pairs = list(zip(own, theirs, strict=False))
    if not pairs:
        raise InputError("there are no two model calls to compare", where=str(other.folder or ""))
    return [
        (Place("call", number), Variant(f"call {number} answered as in the other", answer=_answer_of(one)))
        for number, (_, one) in enumerate(pairs, 1)
    ]


def _answer_of(one: HttpRecording) -> Any:
    """Its answer, for a session to play."""
    return one.response if one.uri else one.response.content.decode()


def _model_calls(cassette: Cassette) -> list[HttpRecording]:
    return [one for one in cassette.http if one.components.get("history") is not None]


def other_of(args: argparse.Namespace, rules: Rules) -> Cassette:
    """The recording that ``--against`` names."""
    found = load_source(args.against, rules=rules)
    if len(found) != 1:
        raise InputError(f"--against takes one recording; here are {len(found)}", where=str(args.against))
    return found[0]


def expecting(scenario: Scenario, file: Path | None) -> Scenario:
    """The scenario with what another one expects and pins, which no recording holds."""
    if file is None:
        return scenario
    given = Scenario.load(file)
    return scenario.model_copy(update={"expect": given.expect, "tools": given.tools, "pins": given.pins})


def tell(whole: VariantRuns, rows: Sequence[VariantRuns], *, judged: bool) -> int:
    """One line a variant: how often it met what is expected, its calls, cost, and what it said last.

    Exit code 0 where the recorded path was kept up to the fork in every trial, 3 where one broke, else 1."""
    width = max(len(row.name) for row in (whole, *rows))
    did = {row.name: _did(row) for row in (whole, *rows)}
    wide = max(4, *map(len, did.values()))
    head = f"{'variant':<{width}}  {'passed':<22}  {'live':>4}  {'cost':>8}  {'did':<{wide}}  said last"
    say(head.rstrip())
    for row in (whole, *rows):
        scored = f"{_rate(row, judged):<22}  {row.live:>4}  {_cost(row):>8}"
        say(f"{row.name:<{width}}  {scored}  {did[row.name]:<{wide}}  {_last(row)}")
    for row in rows:
        for text in row.told():
            say(f"{row.name}: {text}")
    broken = any(report.unreached is not None for row in rows for report in row.reports)
    if broken or any(one.status == "error" for row in rows for one in row.outcomes):
        return 3
    kept = all(report.passed and not _unreached(report) for row in rows for report in row.reports)
    return 0 if kept else 1


def shown(rows: Sequence[VariantRuns], *, judged: bool) -> list[ShownVariant]:
    """The variants as `--html` shows them."""
    return [
        ShownVariant(row.name, _rate(row, judged), row.live, _cost(row), row.outcomes, row.told())
        for row in rows
    ]


def decided(rows: Sequence[VariantRuns], before: bool | None) -> str:
    """Which replaced answer turned the verdict, with the interval of its rate."""
    if before is None:
        return "which call decided it is unknown: without --scenario nothing is expected"
    turned = [row for row in rows if row.judged and (sum(row.judged) * 2 > len(row.judged)) != before]
    if not turned:
        return "no single answer turns the verdict"
    first = turned[0]
    sure = [row for row in turned if _clear(row, before)]
    return f"{(sure or turned)[0].name} turns it: {_rate(first if not sure else sure[0], True)}" + (
        "" if sure else "; too few trials to be sure: raise --trials"
    )


def _clear(row: VariantRuns, before: bool) -> bool:
    low, high = wilson(len(row.judged), sum(row.judged))
    return high < 0.5 if before else low > 0.5


def _unreached(report: ReplayReport) -> bool:
    return any("never reached" in note for note in report.notes)


def _rate(row: VariantRuns, judged: bool) -> str:
    if not judged or not row.judged:
        return "–"
    passed, number = sum(row.judged), len(row.judged)
    low, high = wilson(number, passed)
    return f"{passed}/{number} ({low:.0%}–{high:.0%})"


def _cost(row: VariantRuns) -> str:
    costs = [one.measures.get("cost_usd") for one in row.outcomes]
    known = [cost for cost in costs if isinstance(cost, (int, float))]
    return dollars(sum(known)) if known and len(known) == len(costs) else "?"


def _did(row: VariantRuns) -> str:
    """The tools that it called, as often as its trials differ in them."""
    ways = dict.fromkeys(", ".join(did(one)) or "no tool" for one in row.outcomes)
    return " | ".join(ways)[:60] or "–"


def _last(row: VariantRuns) -> str:
    texts = [one.conversation.by("agent")[-1].text for one in row.outcomes if one.conversation.by("agent")]
    return " | ".join(dict.fromkeys(" ".join(text.split())[:80] for text in texts)) or "nothing"
