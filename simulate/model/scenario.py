"""What happens: who calls whom, for what, with which world pinned, and what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from simulate.model.attachment import Attachment
from simulate.model.base import FilePlace, ScenarioModel, Strict
from simulate.model.expect import VOICE_WORDS, AnyExpectation
from simulate.model.history import Earlier
from simulate.model.loading.reader import ScenarioReader
from simulate.model.nearest import did_you_mean
from simulate.model.persona import Persona
from simulate.model.redact import Redact
from simulate.model.replay_settings import ReplaySettings
from simulate.model.shapes import is_list, is_object, list_of
from simulate.model.tool_pin import ToolPin, tool_pin
from simulate.model.units import (
    AsWritten,
    Data,
    Duration,
    Flag,
    Number,
    Regex,
    Whole,
    as_written,
    mapping_or,
)

ACTIONS = (
    *("says", "dtmf", "silent_for", "backchannel", "vocal_tic", "aside", "hold_music", "hangs_up", "goto"),
)
INTERRUPTS = ("interrupts_after", "interrupts_when")
END = "end"
"""Where ``goto`` ends the script."""


class When(Strict):
    """What a scripted line waits for; all that is given must hold."""

    said: AsWritten | None = None
    """Text that the agent has said since the caller's last line, ignoring case."""
    said_matches: Regex | None = None
    """A regular expression that it has said since then."""
    called: AsWritten | None = None
    """A tool that the agent has called."""

    @model_validator(mode="after")
    def _waits_for_something(self) -> When:
        if self.said is None and self.said_matches is None and self.called is None:
            raise ValueError("waits for nothing: give said, said_matches or called")
        return self


class Line(Strict):
    """One scripted line, or another thing the caller does. Exactly one of ``says``, ``dtmf``, ``silent_for``,
    ``backchannel``, ``vocal_tic``, ``aside``, ``hold_music``, ``hangs_up`` and ``goto``."""

    says: AsWritten | None = None
    """What the caller says, word for word."""
    attachments: list[AsWritten] = Field(default_factory=list[str])
    """Images and files that go with it, from the scenario's folder on; for agents that take them."""
    dtmf: Annotated[AsWritten, Field(pattern=r"^[0-9A-D*#]+$")] | None = None
    """Keys that the caller presses."""
    silent_for: Duration | None = None
    """The caller says nothing for this long."""
    backchannel: AsWritten | None = None
    """Said while the agent speaks, with no wish to take the turn: "mhm"."""
    vocal_tic: AsWritten | None = None
    """A sound that means nothing: ``cough``, ``sneeze``, ``throat``, or one that is spoken, such as "um".
    While the agent speaks with ``interrupts_after``, else after it. Left out in text."""
    aside: AsWritten | None = None
    """Said to somebody else in the room: "Hold on, put that down." When, as for ``vocal_tic``."""
    hold_music: Duration | None = None
    """By voice, the caller puts the agent on hold: music for this long. When, as for ``vocal_tic``."""
    hangs_up: Flag = False
    """The caller ends the conversation."""
    goto: AsWritten | None = None
    """The script goes on at the line with this ``label``; ``end`` is after the last one."""
    if_: When | None = Field(default=None, alias="if")
    """It only goes there if this holds by now; nothing is waited for."""
    label: AsWritten | None = None
    """What ``goto`` calls this line."""
    when: When | None = None
    """What it waits for."""
    waits: Duration | None = None
    """Seconds of hesitation before it."""
    pauses: Duration | None = None
    """By voice, how long the caller pauses for breath at each "…" in ``says``."""
    interrupts_after: Duration | None = None
    """Seconds after the agent has begun to speak. Text keeps the order of lines and drops the timing."""
    interrupts_when: AsWritten | None = None
    """Text that, once heard, makes the caller cut in."""

    @model_validator(mode="after")
    def _does_one_thing(self) -> Line:
        done = [name for name in ACTIONS if getattr(self, name) not in (None, False)]
        if len(done) != 1:
            found = f"does {' and '.join(done)}" if done else "does nothing"
            raise ValueError(f"a line does one thing of {', '.join(ACTIONS)}; this one {found}")
        if self.attachments and self.says is None:
            raise ValueError("attachments: go with says:")
        if self.if_ is not None and self.goto is None:
            raise ValueError("if: belongs to goto:; what a line waits for is its when:")
        if self.goto is not None and self.model_fields_set & {"when", "waits", "pauses", *INTERRUPTS}:
            raise ValueError("a goto takes no time: it has an if:, and neither waits nor cuts in")
        if self.pauses is not None and "…" not in (self.says or "").strip(" .…"):
            raise ValueError('pauses: needs says: with "…" where the caller pauses for breath')
        if self.interrupts_after is not None and self.interrupts_when is not None:
            raise ValueError("a line has either interrupts_after or interrupts_when")
        return self


class Limits(Strict):
    """Where a conversation is cut off. Reaching one is a finding, not an error."""

    turns: Whole = Field(default=20, ge=1, le=10_000)
    """Turns of the caller."""
    time: Duration = 300.0
    """The whole conversation."""
    tokens: Whole | None = Field(default=None, ge=1)
    """The agent's model calls, input and output together."""
    cost: Number | None = Field(default=None, gt=0)
    """The agent's model calls, in US dollars."""
    reply: Duration = 60.0
    """How long one reply may take."""


def _jumps(script: Any) -> Iterator[tuple[list[str | int], str, str | None]]:
    """What is wrong with the labels of a script; lines may still be raw data."""
    lines: list[Any] = cast("list[Any]", script) if isinstance(script, list) else []
    labels: dict[str, int] = {}
    for index, each in enumerate(lines):
        label: Any = _of_line(each, "label")
        if isinstance(label, str) and labels.setdefault(label, index) != index:
            yield ["script", index, "label"], f'the label "{label}" stands twice in this script', None
    for index, each in enumerate(lines):
        goto: Any = _of_line(each, "goto")
        if isinstance(goto, str) and goto not in labels and goto != END:
            near = did_you_mean(goto, [*labels, END])
            yield ["script", index, "goto"], f'no line has the label "{goto[:100]}"{near}', None


def _of_line(line: Any, name: str) -> Any:
    found = cast("dict[str, Any]", line).get(name) if isinstance(line, dict) else getattr(line, name, None)
    return as_written(found)


def _named(value: str) -> str:
    if not 0 < len(value.strip()) <= 300:
        raise ValueError("a name has between 1 and 300 characters")
    return value


class Scenario(ScenarioModel):
    """One test: a persona, a goal or a script, pinned tools, expectations, limits."""

    name: Annotated[AsWritten, AfterValidator(_named)]
    """What a report calls it."""
    description: AsWritten | None = None
    """Why it is there, for the next reader."""
    tags: list[AsWritten] = Field(default_factory=list[str])
    """Words to select by; they become markers in pytest, and reach the agent as ``options`` do."""
    user: AsWritten | None = None
    """Who the caller is to the agent's product: ``user.id`` on its spans, and in its baggage."""
    session: AsWritten | None = None
    """``session.id``."""
    tenant: AsWritten | None = None
    """``tenant.id``."""
    feature: AsWritten | None = None
    """The area of the product: ``feature.id``."""
    experiment: AsWritten | None = None
    """``experiment.id``."""
    cohort: AsWritten | None = None
    """``cohort.name``."""
    prompt_version: AsWritten | None = None
    """Which of the agent's prompts is tried: ``prompt.version``."""
    options: dict[str, Data] = Field(default_factory=dict)
    """What the agent is told besides, by names of your own: given to ``start`` of a Python agent, named as
    ``{{options.plan}}`` in an endpoint's request, in the metadata of a call, and on the spans."""
    agent: AsWritten | None = None
    """A name from ``[tool.simulate.agents]`` in pyproject.toml, or an address."""
    persona: (
        Annotated[
            Annotated[AsWritten, Tag("<name>")] | Annotated[Persona, Tag("<mapping>")], mapping_or("<name>")
        ]
        | None
    ) = None
    """Who calls: a name (``personas/<name>.yaml``), a file, or a persona written here."""
    personas: (
        list[
            Annotated[
                Annotated[AsWritten, Tag("<name>")] | Annotated[Persona, Tag("<mapping>")],
                mapping_or("<name>"),
            ]
        ]
        | None
    ) = None
    """Several who call instead of one: each makes tests of its own, with every case."""
    goal: AsWritten | None = None
    """What the caller wants; a model improvises the way there."""
    caller: AsWritten | None = None
    """``python:module:Class`` of a caller of your own, made anew for each conversation, instead of a goal and
    a script."""
    medium: Literal["text", "voice"] = "text"
    """By text or by phone; nothing else needs to change."""
    speaks_first: Literal["caller", "agent"] = "caller"
    """Who opens the conversation."""
    history: list[Earlier] = Field(default_factory=list[Earlier])
    """What was said and done before: the conversation goes on from there. For agents that take the whole
    conversation."""
    opens_with: AsWritten | None = None
    """The caller's first line, word for word."""
    script: list[Line] = Field(default_factory=list[Line])
    """Lines that must happen, in order; with a goal, the persona improvises the rest."""
    tools: dict[str, Annotated[ToolPin, BeforeValidator(tool_pin, json_schema_input_type=ToolPin | Any)]] = (
        Field(default_factory=dict[str, ToolPin])
    )
    """The world, pinned: what each of the agent's tools answers."""
    pins: Literal["required", "optional"] = "required"
    """Whether the pins have to reach the agent. Where the agent runs a pinned tool of its own, the world was
    not the one that the scenario describes: the outcome is an error of the harness, or with ``optional`` a
    note."""
    world: AsWritten | None = None
    """``python:module:Class`` of a world made anew for each conversation; its methods answer the tools that
    are not pinned."""
    redact: Redact | None = None
    """What is replaced in a recording of it; the project's setting unless given."""
    replay: ReplaySettings | None = None
    """What may differ in its requests when it is replayed, beside what the project says."""
    writes: list[AsWritten] | None = None
    """The agent's tools that change something, for ``only_writes``, beside those that pyproject.toml lists.
    The list is complete: other tools only read, unless ``@simulate.tool(write=True)`` marks them."""
    expect: list[AnyExpectation] = Field(default_factory=list[Any])
    """What must hold, one word an item."""
    limits: Limits = Field(default_factory=Limits)
    """Where the conversation is cut off."""
    trials: Whole = Field(default=1, ge=1, le=1000)
    """How often it is played; reported as pass^1 … pass^k."""
    redo: Whole = Field(default=0, ge=0, le=5)
    """How often a trial is had again whose simulated caller left its part; each time is told."""
    retries: Whole = Field(default=0, ge=0, le=5)
    """How often a failed trial is had again. One that passes then does not make the run red, and does not
    count as a pass: it is told as passed on retry."""
    xfail: AsWritten | None = None
    """Why it is known to fail. A failure does not make the run red; a pass is told."""
    quarantine: AsWritten | None = None
    """Why it is not trusted. It runs and is told, and counts neither as a pass nor as a failure."""
    seed: Whole | None = None
    """Fixes Faker and sampling for this scenario, whatever the run's seed."""
    cases: (
        Annotated[
            Annotated[list[dict[str, Data]], Tag("<rows>")] | Annotated[AsWritten, Tag("<file>")],
            Discriminator(lambda value: "<rows>" if isinstance(value, list) else "<file>"),
        ]
        | None
    ) = None
    """Rows, or a CSV, JSON or JSONL file of them; each fills ``{{column}}`` and is a test of its own."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Scenario:
        names = ("goal", "script", "opens_with", "caller", "medium", "history")
        given = {name: getattr(self, name) for name in names}
        words = [{item.word: None} for item in self.expect]
        for name, one in (("cases", "row"), ("personas", "persona")):
            if getattr(self, name) is not None:
                raise ValueError(f"{name}: belong to a file; from Python, make a Scenario of each {one}")
        for _, message, _ in self.contradictions({**given, "expect": words}):
            raise ValueError(message)
        return self

    @property
    def needs_model(self) -> bool:
        """Whether a model has to play the caller: yes where there is a goal, unless the script leaves nothing
        to improvise, since no line waits and the last one hangs up."""
        complete = any(line.hangs_up for line in self.script[-1:]) and all(
            line.when is None for line in self.script
        )
        return self.goal is not None and not complete

    @classmethod
    def load(cls, path: Path | str) -> Scenario:
        """The one scenario of a YAML file. From Python, ``Scenario.model_validate`` takes the same mapping.

        >>> given = {"name": "Refund", "goal": "Get my money back", "limits": {"time": "90s"}}
        >>> Scenario.model_validate(given).limits.time
        90.0

        Raises:
            FileProblems: The file is wrong; each problem has its line and column.
            InputError: It holds several scenarios.
        """
        return ScenarioReader(cls, Persona).load_scenario(path)

    @staticmethod
    def contradictions(data: Mapping[str, Any]) -> Iterator[tuple[list[str | int], str, str | None]]:
        speaks = [name for name in ("goal", "script", "opens_with") if data.get(name)]
        if data.get("caller"):
            for name in speaks:
                yield [name], f"caller: says what it wants itself; take {name}: out", None
        elif not speaks:
            hint = "add goal: (improvised), script: (lines), or opens_with:"
            yield [], "the caller has nothing to say: no goal, script or opens_with", hint
        if data.get("medium") == "voice":
            if data.get("history"):
                yield ["history"], "a call begins when it is picked up: history: is for medium: text", None
            for index, line in enumerate(list_of(data.get("script"))):
                if _of_line(line, "attachments"):
                    where = ["script", index, "attachments"]
                    yield where, "nothing is attached to a call: attachments: are for medium: text", None
        yield from _jumps(data.get("script"))
        expect: Any = data.get("expect")
        if data.get("medium", "text") != "text" or not is_list(expect):
            return
        for index, item in enumerate(expect):
            for word in VOICE_WORDS.intersection(item if is_object(item) else ()):
                message = f'"{word}" is heard, not read: it needs medium: voice'
                yield ["expect", index, word], message, None

    def with_files(self, files: Mapping[FilePlace, str]) -> Scenario:
        expect = [
            item.model_copy(update={"matches_trace": files["expect", index, 0]})
            if ("expect", index, 0) in files
            else item
            for index, item in enumerate(self.expect)
        ]
        script = [
            line.model_copy(
                update={
                    "attachments": [
                        files.get(("script", index, place), name)
                        for place, name in enumerate(line.attachments)
                    ]
                }
            )
            if line.attachments
            else line
            for index, line in enumerate(self.script)
        ]
        return self.model_copy(update={"expect": expect, "script": script})

    @property
    def attachments(self) -> list[Attachment]:
        """All that its lines send."""
        return [Attachment(Path(name)) for line in self.script for name in line.attachments]

    @property
    def language(self) -> str:
        """The ISO 639 code of what its caller speaks."""
        persona = self.persona if isinstance(self.persona, Persona) else Persona()
        return persona.speaks.language[:2].lower()
