"""``simulate score SOURCE``: evaluators on traces, runs and datasets, with thresholds and exports."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulate.determinism.context import RunContext
from simulate.errors import Fault, InputError
from simulate.interfaces.cli import say, trace_sources
from simulate.interfaces.cli.gate_options import add_gate_options, check_gate, hold
from simulate.interfaces.cli.judge_options import add_judge_options
from simulate.interfaces.cli.output_options import add_json_option
from simulate.interfaces.cli.score_sources import References, cases, is_run, run_path
from simulate.interfaces.cli.verbs import add_no_code_option
from simulate.interfaces.render.output import write_json
from simulate.llm import Budget
from simulate.model.loading.project import Project
from simulate.model.text import line
from simulate.resources import Resources
from simulate.scoring.evaluators.alerts import alert, webhook
from simulate.scoring.evaluators.attach import emit_logs, refuse_same, write_scored
from simulate.scoring.evaluators.evaluator import Evaluator, describe
from simulate.scoring.evaluators.export import Target, export, target
from simulate.scoring.evaluators.result import Result
from simulate.scoring.evaluators.scoring import choose, evaluators, score
from simulate.scoring.gate import Gate
from simulate.scoring.judge import Judge
from simulate.trace.capture.simulator_tracing import OwnTrace, collecting
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.mixed import mixed, several
from simulate.trace.redaction.mask import SecretMask
from simulate.trace.span import Trace


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add = parser.add_argument
    add(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="trace files (- for stdin), folders of them, a run (its folder, its id, latest) or a dataset",
    )
    trace_sources.add_reading_options(parser)
    add_no_code_option(parser)
    add("--evaluators", metavar="A,B", help="by name (default: all that have what they need)")
    add("--threshold", action="append", default=[], metavar="NAME=VALUE", help="the least score that passes")
    add("--reference", metavar="FILE", type=Path, help="what is right: YAML or JSON, one document per trace")
    add("--out", metavar="FILE", help="write a copy of the traces with their scores (OTLP JSON lines)")
    add_json_option(parser, "the results")
    add(
        "--export",
        action="append",
        default=[],
        metavar="KIND[=URL]",
        help="send the scores to otlp, phoenix, langfuse or langsmith; keys come from the environment",
    )
    add(
        "--watch",
        metavar="DIR",
        type=Path,
        help="score trace files as they come into a folder, until stopped",
    )
    add("--interval", type=float, default=2.0, metavar="SECONDS", help="how often --watch looks (default 2)")
    add("--webhook", metavar="URL", help="post each breach there; env:NAME where the address is a secret")
    add_judge_options(parser)
    add("--judge-trace", metavar="FILE", help="write the judge's own spans there (OTLP JSON lines)")
    add_gate_options(parser)
    add("--list", action="store_true", help="list the evaluators and what each needs")


def execute(args: argparse.Namespace) -> int:
    """Exit code 1: a score is below its threshold; 3: one that was asked for could not be reached."""
    if args.list:
        return _list()
    if bool(args.sources) == (args.watch is not None):
        raise InputError("what is to be scored?", hint="name a trace file or a run, or a folder with --watch")
    job = Job(args)
    return asyncio.run(job.watch(args.watch, args.interval) if args.watch else job.once(args.sources))


class Job:
    """One call of the command; everything that can be refused is refused here, before a judge is paid."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.gate = check_gate(args)
        if self.gate is not None and len(args.sources) > 1:
            raise InputError("a gate decides about one run", hint="hold each run against it by itself")
        if self.gate is not None and (args.watch or not all(map(is_run, args.sources))):
            raise InputError(
                "a gate decides about a run",
                hint="traces are held against --threshold NAME=VALUE; simulate dataset run makes a run",
            )
        self.thresholds = _thresholds(args.threshold)
        names = None if args.evaluators is None else [one.strip() for one in args.evaluators.split(",")]
        self.asked = names is not None
        if names is None and self.gate is not None and self.gate.scores:
            names = list(self.gate.scores)  # no judge is paid for what nobody holds against anything
        self.chosen: list[Evaluator] = choose(names, self.thresholds)
        self.references: References = (
            References() if args.reference is None else References.load(args.reference)
        )
        self.targets: list[Target] = [target(one) for one in args.export]
        self.webhook: str | None = None if args.webhook is None else webhook(args.webhook)
        self.judge = _judge(Resources(Project.find(Path.cwd()), []).judge, args)
        self.own = OwnTrace(RunContext().trace_id(), attributes={"simulate.role": "judge"})
        self.mask = SecretMask()
        self.results: list[tuple[str, Result]] = []
        self.traces: list[Trace] = []

    async def once(self, sources: Sequence[str]) -> int:
        """Score the sources; what was finished is written whatever stops it."""
        source = ", ".join(sources)
        if self.args.out:
            for each in sources:
                refuse_same(self.args.out, each)
        try:
            await self._score(sources)
        finally:
            self._write()
        for name in self.references.unused:
            say(f"note: the reference names trace {name}, which is not there", file=sys.stderr)
        if not self.results:
            raise InputError("there is nothing to score", where=source)
        await self._send([result for _, result in self.results], source)
        if self.gate is not None:
            return await self._hold(self.gate, source)
        return self._exit_code()

    async def _hold(self, gate: Gate, source: str) -> int:
        """What the gate says of the run; the baseline is scored alike, or their difference means nothing."""
        before: dict[str, list[Result]] | None = None
        if self.args.baseline is not None and gate.scores:
            finished, self.results, self.traces = self.results, [], []
            say(f"scoring the baseline {self.args.baseline}", file=sys.stderr)
            await self._score([self.args.baseline], quiet=True)
            before, self.results = _by_name(self.results), finished
        return hold(self.args, gate, run_path(source), _by_name(self.results), before)

    async def watch(self, folder: Path, interval: float) -> int:
        """Score each trace file in a folder once it stopped growing, and again when it changes."""
        if self.args.out or self.args.json:
            raise InputError(
                "--watch writes no files", hint="use --export or --webhook, or score each file by itself"
            )
        folder_watched = Watched(folder)
        say(f"watching {folder}; Ctrl-C ends it", file=sys.stderr)
        while True:
            for path in folder_watched.settled():
                await self._watched(path)
            await asyncio.sleep(interval)

    async def _watched(self, path: Path) -> None:
        """A file that is not a trace, or a service that is down, ends nothing."""
        before = len(self.results)
        try:
            await self._score([str(path)])
            await self._send([result for _, result in self.results[before:]], str(path))
        except (InputError, Fault) as error:
            say(f"{path}: {error}", file=sys.stderr)
        self.traces.clear()
        del self.results[:]

    async def _score(self, sources: Sequence[str], *, quiet: bool = False) -> None:
        least = {name.rpartition(":")[2]: value for name, value in self.thresholds.items()}
        waiting = cases(sources, self.references, lambda files: trace_sources.each(self.args, files))
        # as many traces at once as the judge takes questions; without one there is nothing to wait for
        at_once = 1 if self.judge is None else self.judge.concurrency
        while some := list(itertools.islice(waiting, at_once)):
            with collecting(self.own):
                rows = await asyncio.gather(
                    *(score(one.material, self.chosen, judge=self.judge, thresholds=least) for one in some)
                )
            for case, found in zip(some, rows, strict=True):
                found = [_without_secrets(result, self.mask) for result in found]
                if held := several(case.material.reading):
                    note = mixed(case.material.trace.trace_id, held)
                    say(f"! {self.mask.text(note)}", file=sys.stderr)
                self.results += [(case.name, result) for result in found]
                if self.args.out:
                    self.traces.append(case.material.trace)
                if self.args.json != "-" and not quiet:
                    sys.stdout.write(_told(case.name, found, every=self.asked))
                    sys.stdout.flush()

    async def _send(self, results: Sequence[Result], source: str) -> None:
        emit_logs(results)
        for place in self.targets:
            count = await export(results, place)
            say(f"{count} scores sent to {place.kind}", file=sys.stderr)
        if self.webhook is not None:
            await alert(results, self.webhook, source)

    def _write(self) -> None:
        results = [result for _, result in self.results]
        if self.args.out and self.traces:
            write_scored(self.args.out, self.traces, results)
        if self.args.judge_trace:
            write_otlp_jsonl(self.args.judge_trace, self.mask.spans(self.own.spans))
        results_of_traces = [{"source": name, **one.to_dict()} for name, one in self.results]
        write_json(results_of_traces, self.args.json, indent=True)

    def _exit_code(self) -> int:
        results = [result for _, result in self.results]
        if any(one.passed is False for one in results):
            return 1
        if any(one.status == "error" for one in results):
            return 3
        lacking = self.asked and any(one.status == "not_run" for one in results)
        return 3 if lacking or not any(one.status == "scored" for one in results) else 0


def _judge(given: Judge | None, args: argparse.Namespace) -> Judge | None:
    """The judge that is configured, with what the command line says of it."""
    if given is None:
        return None
    if args.prompts is not None and not args.prompts.is_dir():
        raise InputError("--prompts names no folder", where=str(args.prompts))
    budget = None if args.judge_calls is None else Budget(calls=args.judge_calls)
    return Judge(given.model.config, cache=args.judge_cache, prompts=args.prompts, budget=budget)


def _without_secrets(result: Result, mask: SecretMask) -> Result:
    """What an evaluator quotes of a trace goes into terminals, files and services."""
    told = {name: mask.value(getattr(result, name)) for name in ("explanation", "evidence", "parts")}
    return replace(result, **told)


def _by_name(results: Sequence[tuple[str, Result]]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for name, result in results:
        found.setdefault(name, []).append(result)
    return found


class Watched:
    """Which files of a folder came or changed, and then stayed as they are from one look to the next."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError("not a folder", where=str(folder))
        self._folder = folder
        self._seen: dict[Path, tuple[int, int]] = {}
        self._told: dict[Path, tuple[int, int]] = {}

    def settled(self) -> list[Path]:
        """Each file once for every state it came to rest in; hidden ones, which are half written, never."""
        found: list[Path] = []
        for path in sorted(self._folder.rglob("*")):
            try:
                if path.name.startswith(".") or not path.is_file():
                    continue
                state = (path.stat().st_mtime_ns, path.stat().st_size)
            except OSError:
                continue  # it went away between two looks
            if self._seen.get(path) == state and self._told.get(path) != state:
                self._told[path] = state
                found.append(path)
            self._seen[path] = state
        return found


def _told(name: str, results: Sequence[Result], *, every: bool) -> str:
    """One trace's results for people; reasons that several evaluators share stand once."""
    lines = [line(name)]
    for one in results:
        if one.status == "scored":
            mark = {True: "✓", False: "✗", None: "•"}[one.passed]
            needs = f" (needs {one.threshold:g})" if one.passed is False else ""
            lines.append(f"  {mark} {one.evaluator:<24} {one.value:.2f}{needs}  {line(one.explanation, 300)}")
            if one.passed is False:
                by = f"  by {line(one.judge)}" if one.judge else ""
                lines.append(f"      span {line(one.span_id or 'unknown')}{by}")
                lines += [f"      “{line(quote, 200)}”" for quote in one.evidence[:5]]
        elif one.status == "error":
            lines.append(f"  ! {one.evaluator:<24} {one.side} fault: {line(one.explanation, 300)}")
        elif every:
            lines.append(f"  ○ {one.evaluator:<24} not run: {line(one.explanation, 300)}")
    if not every:
        reasons: dict[str, list[str]] = {}
        for one in results:
            if one.status == "not_run":
                reasons.setdefault(one.explanation, []).append(one.evaluator)
        lines += [f"  ○ not run: {', '.join(names)}: {line(why, 300)}" for why, names in reasons.items()]
    return "\n".join(lines) + "\n"


def _thresholds(given: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in given:
        name, _, value = one.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            raise InputError(
                f"not a threshold: {one!r}", hint="write NAME=VALUE, as Groundedness=0.8"
            ) from None
        if name in found:
            raise InputError(f"two thresholds for {name}")
        found[name] = number
    return found


def _list() -> int:
    for name, cls in evaluators().items():
        needs: list[Any] = [need.value for need in cls.needs]
        say(f"{name:<34}{describe(cls).splitlines()[0]}")
        say(f"{'':<34}least {cls.threshold:g}; needs {', '.join(needs) or 'see its page'}")
    return 0
