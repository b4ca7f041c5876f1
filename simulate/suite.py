"""Many scenarios, cases and trials: bounded concurrency, progress, a run folder that survives a kill."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import platform
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from simulate.conversation.engine import Engine
from simulate.errors import Fault, HarnessFault
from simulate.fingerprint import changed, fingerprint
from simulate.masking import without_secrets
from simulate.model.outcome import Outcome, RunRecord
from simulate.model.reliability import reliability
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.model.verdict import Standing
from simulate.resources import Resources
from simulate.run import run_trial
from simulate.run_folder import SCENARIO, RunFolder

TEXT_JOBS = 64
"""Text conversations at once: an agent's model is the bottleneck long before this process is."""
ATTEMPTS = 100
"""Between the numbers of one retry's attempts and those of the next."""
STAGGER = 0.01
"""Seconds between the first conversations, so that they do not all ask in one moment."""
VERSIONS = ("simulate-agents", "openai", "opentelemetry-sdk", "vcrpy", "pytest")


class Progress(Protocol):
    """Told how the suite goes on."""

    def started(self, key: str) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Finished:
    """What a suite remembers of an outcome; the outcome itself is on disk."""

    scenario: str
    case: str | None
    standing: Standing
    clean: bool | None
    """Whether its first attempt passed; None where no verdict was reached."""

    @classmethod
    def of(cls, outcome: Outcome) -> Finished:
        return cls(outcome.scenario, outcome.case, outcome.standing, outcome.clean)


class RemoteExecutor(Protocol):
    """Has the conversations in other processes, where the resources of this one stay closed."""

    notes: list[str]
    """What a reader of the run should know."""

    async def __aenter__(self) -> Any: ...
    async def __aexit__(self, *_: object) -> None: ...
    async def carry(self, suite: Suite, trials: Sequence[TrialSpec], progress: Progress) -> None: ...


@dataclass
class Suite:
    """What a run needs besides its scenarios."""

    folder: RunFolder
    resources: Resources
    seed: int = 0
    trials: int | None = None
    """Overrides what the scenarios say."""
    jobs: int = TEXT_JOBS
    command: Sequence[str] = ()
    elsewhere: RemoteExecutor | None = None
    finished: list[Finished] = field(default_factory=list[Finished])

    def __post_init__(self) -> None:
        self._keeper = _Keeper(self.folder, self.finished)
        self._fingerprints: dict[tuple[int, int], tuple[Scenario, dict[str, str]]] = {}

    def trials_of(self, spec: TrialSpec) -> list[TrialSpec]:
        """Every trial of one scenario and case."""
        number = self.trials or spec.scenario.trials
        return [spec.numbered(trial, seed=self.seed) for trial in range(1, number + 1)]

    async def run(self, scenarios: Sequence[TrialSpec], progress: Progress) -> RunRecord:
        """Run every trial that has no outcome yet. Cancelled, it keeps what had finished."""
        every = [trial for spec in scenarios for trial in self.trials_of(spec)]
        done, notes = self._already(every)
        trials = [trial for trial in every if trial.name not in done]
        record = await self.open()
        record.planned = len(every)
        record.notes += notes
        self.folder.write_run(record)
        try:
            await self._all(trials, progress)
        except BaseException:
            # where the disk is full, closing fails for the same reason: the first one is to be told
            with contextlib.suppress(Fault):
                await self.close(record, whole=False)
            raise
        await self.close(record)
        return record

    async def open(self) -> RunRecord:
        """Write down what runs, and start what it needs."""
        agent = self.resources.agent
        record = RunRecord(
            id=self.folder.path.name,
            started=_now(),
            agent=None if agent is None else without_secrets(str(agent)),
            seed=self.seed,
            command=[without_secrets(word) for word in self.command],
            versions={"python": platform.python_version()} | {name: version(name) for name in VERSIONS},
        )
        before = self.folder.begun()
        if before is not None:
            record.started, record.command, record.notes = before.started, before.command, before.notes
        self.folder.write_run(record)
        await (self.elsewhere or self.resources).__aenter__()
        await self._keeper.__aenter__()
        return record

    async def close(self, record: RunRecord, *, whole: bool = True) -> None:
        """Stop what was started, and write down what came of it; a run that is not ``whole`` never ended."""
        await self._keeper.__aexit__()
        try:
            await (self.elsewhere or self.resources).__aexit__()
        finally:
            notes = self.elsewhere.notes if self.elsewhere else self.resources.capture.notes()
            record.notes += map(without_secrets, notes)
            summarise(self.finished, record)
            record.ended = _now() if whole else None
            self.folder.write_run(record)

    async def _all(self, trials: list[TrialSpec], progress: Progress) -> None:
        waiting = iter(trials)

        async def work(number: int) -> None:
            await asyncio.sleep(number * STAGGER)
            # a worker takes the next trial itself: no task waits for its turn, none is kept once it is over
            for trial in waiting:
                progress.started(trial.name)
                outcome = await self.one(trial)
                progress.finished(outcome)

        try:
            if self.elsewhere is not None:
                await self.elsewhere.carry(self, trials, progress)
                return
            async with asyncio.TaskGroup() as group:
                for number in range(min(self.jobs, len(trials))):
                    group.create_task(work(number))
        except ExceptionGroup as several:
            # the others were cancelled for it, or met the same full disk
            raise several.exceptions[0] from None

    async def one(self, spec: TrialSpec, engine: Engine | None = None) -> Outcome:
        """One conversation, kept on the disk before it is returned; ``engine`` overrides the agent's."""
        spec = replace(spec, folder=self.folder.scratch(spec.name))
        outcome = await self._redone(spec, engine)
        retried: list[str] = []
        while outcome.status == "failed" and len(retried) < spec.scenario.retries:
            retried.append(outcome.reason or "no reason given")
            again = await self._redone(replace(spec, attempt=spec.attempt + len(retried) * ATTEMPTS), engine)
            if again.status not in ("passed", "failed"):
                # the failure stands; that it could not be had again excuses nothing
                outcome.notes.append(f"a retry came to no verdict ({again.status}: {again.reason})")
                outcome.recording = None  # of that retry
                break
            outcome = again
            outcome.retried = list(retried)
        await self.keep(spec, outcome)
        return outcome

    async def _redone(self, spec: TrialSpec, engine: Engine | None) -> Outcome:
        """One conversation, had again while its simulated caller leaves its part."""
        carry = functools.partial(run_trial, spec, self.resources, engine)
        outcome = await self.resources.in_its_time(spec.scenario, carry)
        for again in range(1, spec.scenario.redo + 1):
            if outcome.status != "error" or outcome.side != "simulator":
                break
            told = f"had again ({again} of {spec.scenario.redo}): {outcome.reason}"
            # another seed for the caller's chance; the persona keeps its own
            other = replace(spec, attempt=spec.attempt + again)
            outcome = await self.resources.in_its_time(
                spec.scenario, functools.partial(run_trial, other, self.resources, engine)
            )
            outcome.notes.insert(0, told)
        return outcome

    async def keep(self, spec: TrialSpec, outcome: Outcome, files: Mapping[str, bytes] | None = None) -> None:
        """Return once the outcome is on the disk, with the ``files`` of its folder where they came ready."""
        outcome.fingerprint = self._fingerprint(spec)
        if spec.text:
            # as it was then: the file may be another one by the time a report is read
            text = without_secrets(spec.text) + "\n"
            (self.folder.scratch(spec.name) / SCENARIO).write_text(text, "utf-8")
        await self._keeper.keep(spec.name, outcome, files)

    def _fingerprint(self, spec: TrialSpec) -> dict[str, str]:
        """The same for all trials of a scenario, whose agent this process has loaded once."""
        key = id(spec.scenario), spec.seed
        known = self._fingerprints.get(key)
        if known is None or known[0] is not spec.scenario:
            known = self._fingerprints[key] = spec.scenario, fingerprint(spec, self.resources)
        return known[1]

    def _already(self, every: Sequence[TrialSpec]) -> tuple[set[str], list[str]]:
        """The names of the trials that have an outcome, and what a reader of the run should know of them.

        An outcome that was made of something else than its trial would be now is removed, and so run anew."""
        asked = {trial.name: trial for trial in every}
        done: set[str] = set()
        stale: dict[str, str] = {}
        notes: list[str] = []
        strangers = 0
        for outcome in self.folder.outcomes():
            name = Path(outcome.folder or outcome.key).name
            trial = asked.get(name)
            strangers += trial is None
            differs = changed(outcome.fingerprint, self._fingerprint(trial)) if trial else []
            if differs:
                stale[name] = " and ".join(differs)
                continue
            done.add(name)
            self.finished.append(Finished.of(outcome))
        if stale:
            self.folder.forget(stale)
            why = ", ".join(dict.fromkeys(stale.values()))
            notes.append(f"{len(stale)} of {len(every)} conversations run anew, for what has changed: {why}")
        if strangers:
            notes.append(f"{strangers} outcomes of scenarios that the run no longer asks for still count")
        return done, notes


def summarise(finished: Sequence[Finished], record: RunRecord) -> None:
    """Count outcomes into the record, and say how reliable the scenarios of several trials are."""
    groups: dict[tuple[str, str | None], list[Finished]] = defaultdict(list)
    for each in finished:
        record.counts[each.standing] = record.counts.get(each.standing, 0) + 1
        groups[each.scenario, each.case].append(each)
    for (scenario, case), trials in groups.items():
        # trials without a verdict are neither passes nor failures
        passes = [each.clean for each in trials if each.clean is not None]
        if len(passes) > 1:
            record.reliability += reliability(scenario, case, passes)
        if 0 < sum(passes) < len(passes) or any(each.standing == "flaky" for each in trials):
            record.flaky.append(f"{scenario}[{case}]" if case else scenario)


def join_runs(path: Path, parts: Sequence[Path]) -> None:
    """Make one run, in ``path``, of what several processes ran, each into a folder of its own inside."""
    folder = RunFolder.create(path)
    try:
        records = [RunFolder(part).read_run() for part in parts]
        joined = replace(records[0], id=path.name, counts={}, reliability=[], flaky=[])
        finished: list[Finished] = []
        for part in parts:
            for outcome in RunFolder(part).outcomes():
                folder.take_over(outcome)
                finished.append(Finished.of(outcome))
        folder.sync()
        joined.started = min(record.started for record in records)
        ends = [record.ended for record in records if record.ended is not None]
        joined.ended = max(ends) if len(ends) == len(records) else None
        joined.notes = list(dict.fromkeys(note for record in records for note in record.notes))
        summarise(finished, joined)
        folder.write_run(joined)
        for part in parts:
            # what is left in it is the log of an agent's process
            (part / "outcomes.jsonl").unlink(missing_ok=True)
            (part / "run.json").unlink()
    finally:
        folder.close()


_Kept = tuple[str, Outcome, Mapping[str, bytes] | None, asyncio.Future[None]]


class _Keeper:
    """Writes outcomes in the order in which they end, off the event loop, several to one flush to disk."""

    def __init__(self, folder: RunFolder, finished: list[Finished]) -> None:
        self.folder = folder
        self.finished = finished
        self._queue: asyncio.Queue[_Kept | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def keep(self, name: str, outcome: Outcome, files: Mapping[str, bytes] | None) -> None:
        """Return once the outcome is safe on the disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # who waits may be cancelled meanwhile, and asyncio must not complain that nobody looked at the fault
        done.add_done_callback(lambda kept: kept.cancelled() or kept.exception())
        self._queue.put_nowait((name, outcome, files, done))
        # a cancelled run still waits here: what had finished is kept
        await asyncio.shield(done)

    async def __aenter__(self) -> _Keeper:
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._queue.put_nowait(None)
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            wanted = [each for each in batch if each is not None]
            if wanted:
                results = await asyncio.to_thread(self._write, wanted)
                for (*_, done), problem in zip(wanted, results, strict=True):
                    if not done.cancelled():
                        done.set_result(None) if problem is None else done.set_exception(problem)
            if None in batch:
                return

    def _write(self, batch: list[_Kept]) -> list[Exception | None]:
        results: list[Exception | None] = []
        for name, outcome, files, _ in batch:
            try:
                self.folder.add(name, outcome, outcome.own_spans, files)
                self.finished.append(Finished.of(outcome))
                results.append(None)
            except Fault as fault:
                results.append(fault)
            except Exception as error:  # noqa: BLE001 - handed to whoever waits for this outcome
                results.append(HarnessFault(f"cannot write the outcome: {type(error).__name__}: {error}"))
        with contextlib.suppress(OSError):
            self.folder.sync()
        return results


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def exit_code(finished: Sequence[Finished]) -> int:
    """0 all passed, 1 the agent failed, 3 no verdict could be reached, or nothing ran; 1 wins over 3.

    What is excused (known to fail, quarantined, passed on retry) makes no run red; but a run of which all is
    quarantined came to no verdict."""
    standings = {each.standing for each in finished}
    if "failed" in standings:
        return 1
    return 3 if not standings - {"quarantined"} or standings & {"error", "not_run"} else 0
