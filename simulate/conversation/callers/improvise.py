"""A caller whom a model plays: it hears what a caller hears, and knows what the persona knows."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simulate.conversation.callers import guards, prompt
from simulate.conversation.callers.caller import ActionRecord, HangUp, Listen, Say
from simulate.conversation.callers.facts import Known, texts_of
from simulate.conversation.callers.script import Script
from simulate.conversation.callers.styling import styled
from simulate.errors import SimulatorFault
from simulate.llm import Model, Reply, Unsupported
from simulate.model.json_values import object_in
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, Utterance

MAX_TOKENS = 1000
"""Room for one turn, with what a reasoning model thinks before it."""
OPENING = "(You are connected. Say your first words.)"
SILENCE = "(The other side says nothing.)"
LONGEST = 2_000
"""Characters of one turn that anybody would say."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """What the model wants to do next."""

    text: str
    hang_up: HangUp | None = None


class ImprovisedCaller:
    """Plays a persona towards a goal; lines of a script are said when they are due.

    The model is told persona, goal and what both sides said, never the agent's tools, prompt or trace. It
    ends the call by a tool call, or where the endpoint has no tools by a field of a JSON answer. Every answer
    is checked (`guards`); a bad one is asked for once more, a second is a SimulatorFault.
    """

    def __init__(
        self, scenario: Scenario, persona: Persona, model: Model, script: Script, *, seed: int = 0
    ) -> None:
        self.scenario = scenario
        self.persona = persona
        self.model = model
        self.script = script
        self.seed = seed
        self._chance = random.Random(seed)
        self._raw: list[str] = []
        self._ending: HangUp | None = None
        self._listened = False
        self._notes: list[str] = []
        self._known = _known(scenario, persona)

    async def act(self, conversation: Conversation) -> ActionRecord:
        """The next line: scripted where one is due, improvised otherwise."""
        if self._ending is not None:
            return self._ending
        if self.scenario.speaks_first == "agent" and not conversation.by("agent") and not self._listened:
            self._listened = True
            return Listen()
        self.script.advance(conversation)
        if self.script.due(conversation):
            act = self.script.take()
            if isinstance(act, Say):
                self._raw.append(act.text)
            return act
        turn = await self._next(conversation)
        if not turn.text and turn.hang_up is not None:
            return turn.hang_up
        self._ending = turn.hang_up
        self._raw.append(turn.text)
        text = turn.text
        if self.scenario.medium == "text":
            text = styled(text, self.persona.speaks, self._chance)
        return Say(text)

    def finish(self, conversation: Conversation) -> list[str]:
        """Lines never said, and where the model had to be corrected."""
        return [*self.script.notes(conversation), *self._notes]

    async def _next(self, conversation: Conversation) -> _Turn:
        """Ask, check, and ask once more where something is wrong."""
        situation = self._situation(conversation)
        correction, told = None, ""
        for attempt in range(2):
            reply = await self._ask(conversation, correction, attempt)
            turn, alarm = self._understood(reply)
            alarm = alarm or self._check(turn, situation, conversation)
            if alarm is None:
                return turn
            correction = alarm.mend
            told = f"{alarm.fault}: {alarm.evidence[:300]}"
            if attempt == 0:
                self._notes.append(
                    f"the simulated caller was corrected in turn {conversation.turns + 1} ({told})"
                )
        raise SimulatorFault(
            f"the simulated caller broke its part twice ({told})",
            where=f"turn {conversation.turns + 1}",
            hint="a stronger model under [tool.simulate.models] as `caller` helps; the agent is not to blame",
        )

    async def _ask(self, conversation: Conversation, correction: str | None, attempt: int) -> Reply:
        """One answer, by tool where the endpoint has them, else by schema, else by JSON in plain text."""
        for by_tool, schema in ((True, None), (False, prompt.ANSWER), (False, None)):
            if (by_tool and self.model.lacks("tools")) or (schema and self.model.lacks("response_format")):
                continue
            try:
                return await self.model.complete(
                    self._messages(conversation, correction, by_tool=by_tool),
                    tools=[prompt.END_CALL] if by_tool else None,
                    schema=schema,
                    temperature=0.7,
                    seed=(self.seed + conversation.turns * 2 + attempt) & 0x7FFFFFFF,
                    max_tokens=MAX_TOKENS,
                )
            except Unsupported:
                continue
        raise AssertionError("plain text needs nothing of an endpoint")

    def _messages(
        self, conversation: Conversation, correction: str | None, *, by_tool: bool
    ) -> list[dict[str, Any]]:
        system = prompt.system_prompt(self.scenario, self.persona, by_tool=by_tool)
        if correction:
            system = f"{system}\nYour last try could not be used. {correction}"
        messages: list[dict[str, Any]] = [{"role": "system", "content": system}]
        earlier = [
            ("user" if each.caller is None else "assistant", each.caller or each.agent or "")
            for each in self.scenario.history
            if each.called is None
        ]
        heard = [
            ("assistant" if said.speaker == "caller" else "user", _heard(said))
            for said in conversation.utterances
        ]
        for role, text in [*earlier, *heard]:
            if role == messages[-1]["role"]:
                messages[-1]["content"] += f"\n{text}"
            else:
                messages.append({"role": role, "content": text})
        if messages[-1]["role"] != "user":
            messages.append({"role": "user", "content": SILENCE if len(messages) > 1 else OPENING})
        elif messages[1]["role"] == "assistant":
            # some chat templates want the first word to be the other side's
            messages.insert(1, {"role": "user", "content": OPENING})
        return messages

    def _understood(self, reply: Reply) -> tuple[_Turn, guards.Alarm | None]:
        """The reply as a turn, whichever way it came; an alarm where it is not one."""
        nothing = _Turn("")
        if reply.refusal:
            return nothing, guards.Alarm(
                "a refusal of the model", reply.refusal, "Play the person; it is a test."
            )
        if reply.finish_reason == "content_filter":
            return nothing, guards.Alarm("stopped by the content filter", reply.text or "-", "Put it mildly.")
        if reply.finish_reason == "length" or len(reply.text) > LONGEST:
            return nothing, guards.Alarm("an answer that was cut off", reply.text[-200:], "Be brief.")
        for call in reply.tool_calls:
            if call.name != "end_call":
                continue
            ending = _ending(object_in(call.arguments))
            if ending is None:
                mend = "Call end_call with reason and goal_reached."
                return nothing, guards.Alarm("an ending that cannot be read", call.arguments[:200], mend)
            return _Turn(cleaned(reply.text, self.persona), ending), None
        if not self.model.lacks("tools"):
            return _Turn(cleaned(reply.text, self.persona)), None
        answer = object_in(reply.text)
        if answer is None or not isinstance(answer.get("say"), str):
            return nothing, guards.Alarm(
                "an answer that is not the JSON asked for", reply.text[:200], prompt.BY_SCHEMA
            )
        ending = _ending(answer) if answer.get("end_call") is True else None
        return _Turn(cleaned(answer["say"], self.persona), ending), None

    def _check(
        self, turn: _Turn, situation: guards.Situation, conversation: Conversation
    ) -> guards.Alarm | None:
        situation.ending = turn.hang_up is not None
        if turn.text or turn.hang_up is None:
            alarm = guards.inspect(turn.text, situation)
            if alarm is not None:
                return alarm
        if turn.hang_up is not None and turn.hang_up.satisfied is not False:
            situation.own = [*self._raw, turn.text] if turn.text else self._raw
            too_soon = guards.ended_too_soon(self.scenario.goal, situation)
        else:
            too_soon = _gave_up_at_once(turn, conversation)
        if too_soon is None and turn.hang_up is not None and not turn.text:
            return guards.left_open(situation)
        return too_soon

    def _situation(self, conversation: Conversation) -> guards.Situation:
        return situation(self.scenario, self.persona, conversation, self._raw)


_LANGUAGES = re.compile(
    r"\b(?:english|spanish|french|german|italian|portuguese|dutch|chinese|japanese|korean|russian|arabic|hindi|turkish"
    r"|polish|bilingual|languages?|mother tongue|foreign)\b",
    re.I,
)


def situation(
    scenario: Scenario, persona: Persona, conversation: Conversation, own: Sequence[str]
) -> guards.Situation:
    """What the next line is judged against; ``own`` are the caller's lines so far, as its model gave them."""
    agent = [said.received for said in conversation.by("agent")]
    known = _known(scenario, persona)
    for text in [*agent, *own]:
        known.add(text)
    words = " ".join([*persona.traits, persona.description or "", persona.instructions or ""])
    return guards.Situation(
        known=known,
        language=persona.speaks.language,
        mixes_languages=bool(_LANGUAGES.search(words)),
        own=list(own),
        agent=agent,
        prompt=prompt.template(),
    )


def _gave_up_at_once(turn: _Turn, conversation: Conversation) -> guards.Alarm | None:
    """Who hangs up before the agent has answered anything has not tried, whatever the reason."""
    if turn.hang_up is None or any(said.turn > 0 for said in conversation.by("agent")):
        return None
    mend = "Nobody has answered you yet. Go on with the conversation."
    return guards.Alarm("ends before the goal was tried", turn.hang_up.reason, mend)


def _known(scenario: Scenario, persona: Persona) -> Known:
    """All that the caller has from persona and scenario."""
    known = Known()
    own = [persona.description, persona.instructions, *persona.traits, scenario.goal, scenario.description]
    own += [scenario.opens_with, *(line.says for line in scenario.script)]
    for text in [*own, *texts_of(persona.knows)]:
        if text:
            known.add(text)
    names = [value for key, value in persona.knows.items() if "name" in key and isinstance(value, str)]
    for name in [persona.name, *names]:
        if name:
            known.add(name, names=True)
    if "name" in known.values:
        # whoever is named in what the caller knows may be named by it
        known.values["name"].update(word.lower() for word in re.findall(r"\w+", " ".join(filter(None, own))))
    return known


def _heard(said: Utterance) -> str:
    text = said.received if said.speaker == "agent" else said.text
    return text if text.strip() else SILENCE


def _ending(answer: dict[str, Any] | None) -> HangUp | None:
    if answer is None:
        return None
    reason, reached = answer.get("reason"), answer.get("goal_reached")
    if not isinstance(reason, str) or not isinstance(reached, bool | None):
        return None
    return HangUp(reason.strip() or "the caller hung up", satisfied=reached)


_STAGED = (
    r"(?:(?:sigh|laugh|pause|smile|groan|chuckle|cough|frown|nod|shrug|mutter|wait|look|roll|clear|take|speak|hang|check)s"
    r"|(?:sigh|laugh|paus|look|speak|check|sound)ing|voice|in an?|with an?)\b"
)
_STAGE = re.compile(rf"\*+\s*{_STAGED}[^*\n]*\*+|[(\[]\s*{_STAGED}[^)\]\n]*[)\]]", re.I)
"""What somebody does while speaking, as models like to write it."""
_THOUGHT = re.compile(r"<think>.*?</think>", re.S)


def cleaned(text: str, persona: Persona) -> str:
    """The words without what models put around them: thoughts, what the speaker does meanwhile or is called,
    quotation marks."""
    text = re.sub(rf"[ \t]*(?:{_STAGE.pattern})[ \t]*", " ", _THOUGHT.sub("", text), flags=re.I).strip()
    names = [re.escape(name) for name in ("Caller", "Customer", "User", "Me", persona.name or "") if name]
    text = re.sub(rf"^\**(?:{'|'.join(names)})\**\s*:\**\s*", "", text, flags=re.I)
    if len(text) > 1 and text[0] in '"“' and text[-1] in '"”' and not re.search(r'["“”]', text[1:-1]):
        text = text[1:-1].strip()
    return text
