"""What all scenario items of one pytest process share."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulate.errors import InputError
from simulate.interfaces.render.run_reports import traces_of, write_pages
from simulate.llm.config import placeholder_keys
from simulate.model.identity import parse_tags
from simulate.model.loading.environment import set_environment
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome, RunRecord
from simulate.model.trial import TrialSpec
from simulate.replay.running import Mode, Recordings
from simulate.resources import Resources
from simulate.run_folder import RUNS, RunFolder, new_run_id
from simulate.scenario_files import with_unique_ids
from simulate.suite import Suite, join_runs


class Session:
    """One loop, one stage, one run folder a process. They come into being with the first item that runs."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.project = Project.find(config.rootpath)
        self.collected: list[TrialSpec] = []
        self.worker: str | None = getattr(config, "workerinput", {}).get("workerid")
        self.run_id: str = getattr(config, "workerinput", {}).get("simulate_run") or new_run_id()
        self.leads = self.worker is None
        self._runner: asyncio.Runner | None = None
        self._suite: Suite | None = None
        self._keys = contextlib.ExitStack()
        self._record: RunRecord | None = None
        self._known: dict[tuple[str, str], TrialSpec] = {}
        """By file, and id in that file: the scenarios under ids that are unique among all."""
        self._refused: dict[str, InputError] = {}

    @property
    def root(self) -> Path:
        """The folder of the whole run; each worker of pytest-xdist has one inside."""
        return self.project.root / RUNS / self.run_id

    def run(self, loaded: TrialSpec) -> list[Outcome]:
        """All trials of one scenario and case, in the calling thread."""
        suite, runner = self._started()
        loaded = replace(self._known[loaded.file, loaded.id], world=loaded.world)
        if loaded.id in self._refused:
            raise self._refused[loaded.id]

        async def all_trials() -> list[Outcome]:
            return list(await asyncio.gather(*(suite.one(trial) for trial in suite.trials_of(loaded))))

        return runner.run(all_trials())

    def _started(self) -> tuple[Suite, asyncio.Runner]:
        if self._suite is not None and self._runner is not None:
            return self._suite, self._runner
        path = self.root / self.worker if self.worker else self.root
        set_environment(self.project)
        tape = self._tape()
        if tape is not None and tape[1] == "none":
            self._keys.enter_context(placeholder_keys(self.project.secret_variables()))
        stage = Resources(
            self.project,
            [],
            agent=self.config.getoption("--simulate-agent"),
            run_id=self.run_id,
            logs=path / "logs",
            tags=parse_tags(self.config.getoption("--simulate-tag") or ()),
        )
        stage.update_snapshots = bool(self.config.getoption("--simulate-update"))
        recordings = self._recordings(stage)
        self._known = self._identified()
        for loaded in self._known.values():
            try:
                stage.prepare(loaded.scenario)
                if recordings is not None:
                    self._reaches(loaded, stage)
                    recordings(loaded).check(loaded, loaded.scenario.trials)
            except InputError as error:
                self._refused[loaded.id] = error
        stage.recordings = None if recordings is None else lambda trial: recordings(trial.spec)(trial)
        command = ["pytest", *self.config.invocation_params.args]
        suite = Suite(
            RunFolder.create(path),
            stage,
            seed=int(self.config.getoption("--simulate-seed") or 0),
            command=command,
        )
        runner = asyncio.Runner()
        self._record = runner.run(suite.open())
        self._suite, self._runner = suite, runner
        return suite, runner

    def _identified(self) -> dict[tuple[str, str], TrialSpec]:
        """Each file was collected by itself; only all of them tell which names several files use. The same
        ids as the command line gives, so that cassettes and folders of results have the same names."""
        collected = {(each.file, each.id): each for each in self.collected}
        named = with_unique_ids(list(collected.values()), self.project.root)
        return dict(zip(collected, named, strict=True))

    def _tape(self) -> tuple[str | None, Mode] | None:
        """The folder of cassettes (None: beside the scenario file) and VCR's word for their use."""
        option = self.config.getoption
        names = ("record", "replay", "record-mode")
        record, replay, mode = (option(f"--simulate-{name}") for name in names)
        if record and replay:
            raise InputError("--simulate-record and --simulate-replay exclude each other")
        if not record and not replay and mode is None:
            return None
        return record or replay, mode or ("all" if record else "none")

    def _recordings(self, stage: Resources) -> Callable[[TrialSpec], Recordings] | None:
        tape = self._tape()
        if tape is None:
            return None
        # it imports aiohttp, and pytest imports this plugin whatever is tested
        from simulate.replay.serving.endpoint import ModelEndpoint

        folder, mode = tape
        port = int(self.config.getoption("--simulate-model-port") or 0)
        settings = self.project.replay
        allow = tuple(settings.allow)
        stage.models = ModelEndpoint(port, guard=mode == "none", allow=allow)

        @functools.cache
        def at(path: Path) -> Recordings:
            return Recordings(
                path,
                mode,
                models=stage.models,
                personal=self.project.redact.personal,
                ignore=settings.ignore,
                allow=allow,
            )

        return lambda loaded: at(Path(folder or Path(loaded.file).parent / "cassettes"))

    def _reaches(self, loaded: TrialSpec, stage: Resources) -> None:
        scenario = loaded.scenario
        told = stage.started(scenario) or self.config.getoption("--simulate-model-port")
        if stage.outside(scenario) and not told:
            raise InputError(
                "its agent is already running, so we cannot tell it where its model is",
                hint="give a --simulate-model-port N and start it with OPENAI_BASE_URL=http://127.0.0.1:N/v1",
            )

    def close(self) -> None:
        """Stop processes and servers, write the record and, in the leading process, the report."""
        if self._runner is not None and self._suite is not None and self._record is not None:
            self._runner.run(self._suite.close(self._record))
            self._runner.close()
            self._suite.folder.close()
            self._suite = self._runner = None
        self._keys.close()
        report: str | None = self.config.getoption("--simulate-report")
        if not self.leads:
            return
        workers = [each.parent for each in sorted(self.root.glob("gw*/run.json"))]
        if workers:
            join_runs(self.root, workers)
        if report and (self.root / "run.json").is_file():
            folder = RunFolder(self.root)
            write_pages(Path(report), folder.read_run(), list(folder.outcomes()), traces_of(self.root))

    @property
    def where(self) -> str:
        """Where what ran is kept; empty when nothing did."""
        if not self.leads or not self.root.exists():
            return ""
        report: Any = self.config.getoption("--simulate-report")
        return f"report {report}" if report else f"outcomes and traces in {self.root}"
