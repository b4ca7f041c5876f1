"""What a run or a suite is given to record its conversations, or to answer them from cassettes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel

from simulate.conversation.engine import TrialSession
from simulate.errors import AgentFault, Fault, InputError
from simulate.masking import without_secrets
from simulate.mcp_stdio import plain_result
from simulate.model.scenario import Scenario
from simulate.model.shapes import is_list, object_of
from simulate.model.transcript import Conversation, ToolUse
from simulate.model.trial import TrialSpec
from simulate.model.verdict import Verdict
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.first_use import FirstUse
from simulate.replay.intercept.mcp_client import MCP_CALL
from simulate.replay.matching.divergence import Pace, Policy
from simulate.replay.matching.endpoints import address
from simulate.replay.matching.json_values import plain
from simulate.replay.matching.recordings import ToolRecording
from simulate.replay.matching.secrets import texts_of
from simulate.replay.record_session import RecordSession
from simulate.replay.replay_session import ReplaySession
from simulate.replay.report import ReplayReport
from simulate.replay.session import cassette_for, replaying
from simulate.tools import Toolbox

if TYPE_CHECKING:
    from simulate.replay.serving.endpoint import ModelEndpoint

TAKES_THE_PATH = "the agent takes the recorded path, and nothing goes live"
Mode = Literal["once", "none", "all", "new"]


def cassette_name(spec: TrialSpec, trial: int) -> str:
    """The folder of one trial's cassette."""
    return spec.id if trial == 1 else f"{spec.id}-{trial}"


class Recordings:
    """One cassette a conversation, in a folder: ``<root>/<scenario id>[-<trial>]``.

    ``mode`` is one of VCR's words: ``all`` for ``--record``, ``none`` for ``--replay``, or ``once``, ``new``.
    """

    def __init__(
        self,
        root: str | Path,
        mode: Mode = "once",
        *,
        policy: Policy = "fail",
        pace: Pace = "ordered",
        allow: tuple[str, ...] = (),
        models: ModelEndpoint | None = None,
        personal: bool = True,
        ignore: Iterable[str] = (),
    ) -> None:
        self.ignore = tuple(ignore)
        """JSON paths that no request is compared by."""
        self.personal = personal
        """Whether personal data is replaced in what is recorded, where the scenario does not say."""
        self.root = Path(root)
        self.models = models
        self.mode: Mode = mode
        self.policy: Policy = policy
        self.pace = pace
        self.allow = allow
        self.first_use = FirstUse(self.root)
        self.reports: dict[str, ReplayReport] = {}
        if mode == "none" and not self.root.is_dir():
            raise InputError("there are no cassettes here", where=str(root), hint="record them with --record")

    def check(self, spec: TrialSpec, trials: int) -> None:
        """InputError where a replay would find no cassette for one of the trials, or an unreadable one."""
        if self.mode != "none":
            return
        for trial in range(1, trials + 1):
            folder = self.root / cassette_name(spec, trial)
            if not (folder / "manifest.json").is_file():
                raise InputError(
                    f"there is no cassette for {spec.id}" + (f", trial {trial}" if trial > 1 else ""),
                    where=str(folder),
                    hint="record it with --record, or leave it out with -k",
                )
            Cassette.load(folder)

    @contextlib.asynccontextmanager
    async def __call__(self, trial: TrialSession) -> AsyncGenerator[Toolbox]:
        """Enter this for one conversation: the agent's tools answer from what it gives."""
        folder = self.root / cassette_name(trial.spec, trial.spec.trial)
        tools = trial.tools
        options: dict[str, Any] = {"allow": (*self.allow, *_harness(trial)), "seed": trial.spec.seed}
        options |= {
            "scenario": without_secrets(trial.scenario.name),
            "policy": self.policy,
            "pace": self.pace,
        }
        own = () if trial.scenario.replay is None else trial.scenario.replay.ignore
        options |= {"first_use": self.first_use, "ignore": (*self.ignore, *own)}
        options |= {"personal": _personal(trial.scenario, self.personal), "invented": _invented(trial)}
        session: RecordSession | ReplaySession | None = None
        broke: Fault | None = None
        raised: list[AgentFault] = []
        try:
            async with cassette_for(folder, self.mode, **options) as session:
                session.turn_of, trial.taped = lambda: tools.turn, True
                if isinstance(session, ReplaySession):
                    tools.recorded = session.handed
                    expect_as_recorded(trial, session)
                try:
                    with held_back(raised):
                        async with asked_by(trial, session, self.models):
                            yield session.toolbox(tools)
                finally:
                    if isinstance(session, RecordSession):
                        session.conversation = said_in(trial.conversation, tools.uses)
                    tell_raised(session, raised)
            if raised:
                raise raised[0]
        except Fault as fault:
            broke = fault
            raise
        finally:
            # an agent that a divergence broke is told of the divergence, too
            if isinstance(session, ReplaySession):
                trial.played += _played(session)
                self.reports[folder.name] = session.report()
                trial.verdicts.append(verdict_of(session.report(), broke))


@contextlib.asynccontextmanager
async def replayed(
    cassette: Cassette,
    trial: TrialSession,
    reports: list[ReplayReport] | None = None,
    models: ModelEndpoint | None = None,
    **options: Any,
) -> AsyncGenerator[Toolbox]:
    """Answer one conversation from ``cassette``, and add the verdict of the replay to its outcome."""
    allow = (*options.pop("allow", ()), *_harness(trial))
    tools = trial.tools
    player: ReplaySession | None = None
    broke: Fault | None = None
    raised: list[AgentFault] = []
    try:
        async with replaying(cassette, allow=allow, **options) as player:
            player.turn_of, trial.taped = lambda: tools.turn, True
            tools.recorded = player.handed
            expect_as_recorded(trial, player)
            with held_back(raised):
                async with asked_by(trial, player, models):
                    yield player.toolbox(tools)
            tell_raised(player, raised)
        if raised:
            raise raised[0]
    except Fault as fault:
        broke = fault
        raise
    finally:
        if player is not None:
            trial.played += _played(player)
            if reports is not None:
                reports.append(player.report())
            trial.verdicts.append(verdict_of(player.report(), broke))


def _played(player: ReplaySession) -> list[ToolUse]:
    """The calls to MCP servers that the recording answered."""
    return [
        ToolUse(
            one.name.removeprefix(MCP_CALL),
            object_of(one.arguments),
            plain_result(one.result),
            error=_mcp_error(one),
            turn=one.turn,
        )
        for one in player.cassette.tools
        if one.name.startswith(MCP_CALL) and id(one) in player.kept.played
    ]


def _mcp_error(call: ToolRecording) -> str | None:
    if call.error is not None:
        return str(call.error.get("message"))
    return str(plain_result(call.result)) if object_of(call.result).get("isError") else None


@contextlib.contextmanager
def held_back(raised: list[AgentFault]) -> Generator[None]:
    """An agent that breaks ends its conversation by that: what was asked until then is recorded, or compared,
    as a whole. ``raised`` gets the fault, to be raised when that is done."""
    try:
        yield
    except AgentFault as fault:
        raised.append(fault)


def tell_raised(session: RecordSession | ReplaySession, raised: list[AgentFault]) -> None:
    """Keep with a recording how its agent broke; tell of a replay whether it still does."""
    if isinstance(session, RecordSession):
        if raised:
            session.manifest["raised"] = session.rules.text(raised[0].message)
        return
    then = session.cassette.manifest.get("raised")
    if then and not raised:
        session.notes.append(f"when it was recorded, it ended so: {then}; now it does not")


@contextlib.asynccontextmanager
async def asked_by(
    trial: TrialSession, session: RecordSession | ReplaySession, models: ModelEndpoint | None
) -> AsyncGenerator[None]:
    """While inside, the model calls of an agent in another process belong to ``session``."""
    if not trial.engine.outside:
        yield
        return
    if models is None:
        raise InputError(
            "the agent runs in another process, so its model calls cannot be seen from here",
            hint="start `simulate playback` and give the agent its OPENAI_BASE_URL",
        )
    if isinstance(session, ReplaySession):
        session.outside = True
    async with models.conversation(session):
        yield


def _invented(trial: TrialSession) -> list[str]:
    """What scenario, case and persona state: nobody's data, so that it stays."""
    return texts_of([trial.scenario, trial.persona])


def _personal(scenario: Scenario, otherwise: bool) -> bool:
    return otherwise if scenario.redact is None else scenario.redact.personal


def expect_as_recorded(trial: TrialSession, session: ReplaySession) -> None:
    """What a replay gives back has pseudonyms, so that expectations must have the same ones."""
    expected = [_with_texts(one, session.rules.text) for one in trial.scenario.expect]
    if expected != trial.scenario.expect:
        scenario = trial.scenario.model_copy(update={"expect": expected})
        trial.spec = replace(trial.spec, scenario=scenario)


def _with_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, BaseModel):
        fields = value.model_fields_set
        return value.model_copy(update={name: _with_texts(getattr(value, name), change) for name in fields})
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value).items()
        return {name: _with_texts(one, change) for name, one in members}
    if is_list(value):
        return [_with_texts(one, change) for one in value]
    return value


def said_in(conversation: Conversation, uses: Sequence[ToolUse] = ()) -> list[dict[str, Any]]:
    """A conversation as a cassette keeps it, with the agent's tool calls in front of what it then said."""
    told: list[dict[str, Any]] = []
    for said in conversation.utterances:
        if said.speaker == "agent":
            calls = [use for use in uses if use.turn == said.turn]
            uses = [use for use in uses if use.turn != said.turn]
            told += [
                {"speaker": "agent", "called": use.name, "arguments": plain(use.arguments), "turn": use.turn}
                for use in calls
            ]
        told.append({"speaker": said.speaker, "text": said.text, "turn": said.turn})
    return told


def verdict_of(report: ReplayReport, broke: Fault | None = None) -> Verdict:
    """The replay as one of the outcome's verdicts. What tried to get out is the agent's doing, too. What the
    caller asks its own model is not, nor what nobody asked for once another side ``broke``."""
    first = report.first
    if broke is not None and broke.side != "agent" and report.verdict == "unplayed" and not report.refused:
        return Verdict(
            "replay",
            TAKES_THE_PATH,
            "not_run",
            f"the conversation broke off: {report.played} of {report.recorded} recordings played until then",
        )
    ours = first is not None and first.by is not None and not report.refused
    return Verdict(
        check="replay",
        expectation=TAKES_THE_PATH,
        status="passed" if report.passed else "error" if ours else "failed",
        fact=report.explain().splitlines()[0] if report.passed else report.explain(),
        side=None if report.passed else "simulator" if ours else "agent",
        turn=first.turn if first else None,
        span_id=first.span_id if first else None,
        evidence=[str(change) for change in first.changes] if first else [],
        hint=report.advice() or None,
        expected="identical",
        actual=report.verdict,
    )


def _harness(trial: TrialSession) -> list[str]:
    """Addresses of our own traffic: the agent's address and the telemetry receiver."""
    urls = [trial.engine.address, *trial.environment.values()]
    return [address(url) for url in urls if url.startswith(("http://", "https://"))]
