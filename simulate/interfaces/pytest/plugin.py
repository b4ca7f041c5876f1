"""Scenario files as pytest items: one a scenario and case, its trials inside.

The conversation takes place in the item's setup, so that what is not the agent's fault is pytest's *error*;
the agent's failures are *failures*. Nothing heavy is imported before a scenario file is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest
from _pytest.fixtures import TopRequest

from simulate.errors import SimulateError
from simulate.no_telemetry import switch_off

switch_off()  # before an agent imports what would report

if TYPE_CHECKING:
    from simulate.interfaces.pytest.session import Session
    from simulate.model.outcome import Outcome
    from simulate.model.scenario import Scenario
    from simulate.model.trial import TrialSpec

SUFFIXES = (".yaml", ".yml")
Node = TypeVar("Node", bound=pytest.Item | pytest.Collector)
KEY = pytest.StashKey["Session"]()
FOLDERS = pytest.StashKey[list[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options and the ini value of `docs/pytest.md`."""
    parser.addini(
        "simulate_scenarios",
        "folders whose YAML files are scenarios (default: those of [tool.simulate] in pyproject.toml)",
        "paths",
        default=None,
    )
    group = parser.getgroup("simulate", "scenarios against an agent")
    group.addoption(
        "--simulate-agent",
        metavar="ADDRESS",
        help="run against this agent instead of the one that the files name",
    )
    group.addoption("--simulate-seed", type=int, default=0, metavar="N", help="seed of personas and callers")
    group.addoption(
        "--simulate-record", metavar="DIR", help="record a cassette per scenario into this folder"
    )
    group.addoption(
        "--simulate-replay", metavar="DIR", help="replay the cassettes of this folder; nothing goes live"
    )
    group.addoption(
        "--simulate-record-mode",
        choices=["once", "new", "all", "none"],
        help="VCR's words; alone, the cassettes lie in `cassettes/` beside the scenario files",
    )
    group.addoption(
        "--simulate-model-port",
        type=int,
        metavar="N",
        help="where an agent that is already running asks its model while it is recorded or replayed",
    )
    group.addoption("--simulate-update", action="store_true", help="rewrite the files of `snapshot:`")
    group.addoption(
        "--simulate-no-code",
        action="store_true",
        help="refuse whatever would run code that a scenario or an address names; pytest's own files run",
    )
    group.addoption(
        "--simulate-tag",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="on the agent's spans and in its baggage, as `--tag` of `simulate run` (repeatable)",
    )
    group.addoption("--simulate-report", metavar="FILE", help="write the HTML report here")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what no run could use; ``--simulate-no-code`` holds for the whole session, also for what it
    starts."""
    if tags := config.getoption("--simulate-tag"):
        from simulate.errors import InputError  # only where it is used: every pytest run loads this plugin
        from simulate.model.identity import parse_tags

        try:
            parse_tags(tags)
        except InputError as error:
            raise pytest.UsageError(str(error)) from None
    if config.getoption("--simulate-no-code"):
        from simulate.no_code import forbidding  # start-up time

        while_it_runs = ExitStack()
        while_it_runs.enter_context(forbidding(True))
        config.add_cleanup(while_it_runs.close)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """A YAML file is ours where it is named on the command line or lies in a folder of scenarios."""
    if file_path.suffix not in SUFFIXES or "personas" in file_path.parts:
        return None
    named = any(
        Path(argument.split("::")[0]).resolve() == file_path for argument in parent.config.args if argument
    )
    if named or any(file_path.is_relative_to(folder) for folder in _folders(parent.config)):
        # pytest loads this plugin in projects that have no scenarios
        from simulate.model.loading.places import is_snapshot

        if is_snapshot(file_path):
            return None
        return _node(ScenarioFile, parent, path=file_path)
    return None


def _folders(config: pytest.Config) -> list[Path]:
    """Where scenarios lie: as the ini file says, or else as pyproject.toml does."""
    folders = config.stash.get(FOLDERS, None)
    if folders is None:
        # a pyproject.toml that is wrong is told by the first scenario file, and not to suites without one
        given: list[Path] = config.getini("simulate_scenarios") or _of_project(config.rootpath)
        folders = config.stash[FOLDERS] = given
    return folders


def _of_project(root: Path) -> list[Path]:
    from simulate.model.loading.project import Project  # start-up time

    try:
        return Project.find(root).scenarios
    except SimulateError:
        return [root / "scenarios"]


def _node(kind: type[Node], parent: pytest.Collector, **arguments: Any) -> Node:
    """A node of pytest's tree; its own constructor is untyped."""
    make = cast("Callable[..., Node]", getattr(kind, "from_parent"))  # noqa: B009
    return make(parent, **arguments)


class ScenarioFile(pytest.File):
    """One YAML file."""

    def collect(self) -> Iterator[ScenarioItem]:
        from simulate.scenario_files import load_scenarios

        session = session_of(self.config)
        for loaded in load_scenarios([self.path], agents=session.project.agents):
            for tag in loaded.scenario.tags:
                self.config.addinivalue_line("markers", f"{tag}: a tag of scenarios")
            item = _node(ScenarioItem, self, name=loaded.id, loaded=loaded)
            for tag in loaded.scenario.tags:
                item.add_marker(tag)
            if loaded.scenario.xfail is not None:
                # an error, which the setup raises, excuses nothing
                item.add_marker(pytest.mark.xfail(reason=loaded.scenario.xfail, raises=ScenarioFailed))
            session.collected.append(loaded)
            yield item

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return (
            str(excinfo.value) if isinstance(excinfo.value, SimulateError) else super().repr_failure(excinfo)
        )


class ScenarioFailed(Exception):
    """The agent failed."""


class ScenarioItem(pytest.Item):
    """One scenario and case, with all its trials."""

    def __init__(self, *, loaded: TrialSpec, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # pyright: ignore[reportUnknownMemberType]
        self.loaded = loaded
        self.outcomes: list[Outcome] = []

    def setup(self) -> None:
        super().setup()
        session = session_of(self.config)
        world = self._world()
        try:
            self.outcomes = session.run(replace(self.loaded, world=world))
        except SimulateError as error:
            pytest.fail(f"refused: {error}", pytrace=False)
        if any(outcome.status == "failed" for outcome in self.outcomes):
            return
        unclear = [outcome for outcome in self.outcomes if outcome.status != "passed"]
        if unclear:
            # a failure in the setup is pytest's error
            pytest.fail(self._story(unclear), pytrace=False)

    def _world(self) -> Callable[[], Any] | None:
        """What makes the world of each trial: the fixture ``simulate_world``. Fixtures that are autouse, or
        that a marker ``usefixtures`` names, are set up first, as for any test."""
        # only now, so that markers count that a conftest.py has added since the item was made
        # private names of pytest are used: tests/test_private_names.py lists them, with the version tried
        private: Any = self
        manager: Any = getattr(self.session, "_fixturemanager")  # noqa: B009
        private.obj = None
        private._fixtureinfo = manager.getfixtureinfo(node=self, func=None, cls=None)
        private.fixturenames, private.funcargs = private._fixtureinfo.names_closure, {}
        request: Any = TopRequest(private, _ispytest=True)
        private._request = request
        request._fillfixtures()
        world: Any = request.getfixturevalue("simulate_world")
        if world is None or callable(world):
            return world
        if self.loaded.scenario.trials > 1:
            pytest.fail(
                "simulate_world: one object would be the world of all trials; "
                "let the fixture return a class, or a function that makes one",
                pytrace=False,
            )
        return lambda: world

    def runtest(self) -> None:
        failed = [outcome for outcome in self.outcomes if outcome.status == "failed"]
        quarantine = self.loaded.scenario.quarantine
        if quarantine is not None:
            told = failed[0].reason if failed else "it passed this time"
            pytest.xfail(f"quarantined: {quarantine}; {told}")
        self.user_properties += [
            ("simulate_retried", reason) for outcome in self.outcomes for reason in outcome.retried
        ]
        if failed:
            raise ScenarioFailed(self._story(failed))

    def _story(self, outcomes: Iterable[Outcome]) -> str:
        told = "\n\n".join(outcome.explain() for outcome in outcomes)
        passed = sum(outcome.passed for outcome in self.outcomes)
        trials = len(self.outcomes)
        return told if trials == 1 else f"{passed} of {trials} trials passed\n\n{told}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, ScenarioFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.loaded.line - 1, self.name


def session_of(config: pytest.Config) -> Session:
    """The one set of engines, capture and run folder of this pytest process."""
    session = config.stash.get(KEY, None)
    if session is None:
        from simulate.interfaces.pytest.session import Session

        session = config.stash[KEY] = Session(config)
    return session


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let the workers of pytest-xdist share one run folder's name."""
    node.workerinput["simulate_run"] = session_of(node.config).run_id


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop what was started, and write the report once, in the process that leads."""
    ours = session.config.stash.get(KEY, None)
    if ours is not None:
        ours.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what passed on retry only, and where the outcomes lie."""
    for report in terminalreporter.getreports("passed"):
        for name, reason in report.user_properties:
            if name == "simulate_retried":
                terminalreporter.write_line(f"simulate: {report.nodeid} passed on retry: {reason}")
    ours = config.stash.get(KEY, None)
    if ours is not None and ours.where:
        terminalreporter.write_line(f"simulate: {ours.where}")


class Simulate:
    """What the fixture ``simulate`` gives: call it in a plain test, or await ``run`` in an async one."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def __call__(
        self, scenario: Scenario | str | Path, agent: str | Callable[..., Any] | None = None
    ) -> Outcome:
        """Run one scenario and return its outcome."""
        from simulate.run import run_sync

        return run_sync(scenario, agent=agent or self._agent, seed=self._seed)

    async def run(
        self, scenario: Scenario | str | Path, agent: str | Callable[..., Any] | None = None
    ) -> Outcome:
        """The same, in an async test."""
        from simulate.run import run

        return await run(scenario, agent=agent or self._agent, seed=self._seed)

    @property
    def _agent(self) -> str | None:
        return self._config.getoption("--simulate-agent")

    @property
    def _seed(self) -> int:
        return int(self._config.getoption("--simulate-seed") or 0)


@pytest.fixture
def simulate_world() -> Any:
    """The world of every scenario file's conversations that name none; a conftest.py overrides it with an
    object, or with what makes one for each trial: see the page on scenarios."""
    return None


@pytest.fixture
def simulate(pytestconfig: pytest.Config) -> Simulate:
    """Run scenarios from a Python test: ``outcome = simulate("scenarios/refund.yaml", agent=my_agent)``."""
    return Simulate(pytestconfig)
