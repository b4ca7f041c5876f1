"""A model as a classifier: asked in opposite orders, checked, asked again, and never trusted blindly."""

from __future__ import annotations

import asyncio
import contextvars
import json
import re
import secrets
import weakref
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from simulate.errors import InputError, SimulatorFault
from simulate.llm import Budget, Model, ModelConfig, Reply, Unsupported, from_environment
from simulate.llm.wire import place
from simulate.model.transcript import Utterance
from simulate.scoring.judge.answer import Answer, Unusable, leaves, read, says_nothing, schema, unproven
from simulate.scoring.judge.cache import Cache
from simulate.scoring.judge.question import CANNOT_TELL, Judgement, Question
from simulate.trace.reading import ToolCall

MAX_TOKENS = 2000
TOP_LOGPROBS = 20
SURE = 0.6
"""The least probability, both orders together, that a label needs to be the judgement."""

_calls: contextvars.ContextVar[list[None]] = contextvars.ContextVar("simulate_judge_calls")
"""One entry a call made for the question at hand; others are asked at the same time."""

PLANTED_WORDS = 4
"""Words from which a line is long enough to ask the judge for it."""
PLANTED_NO = "A parrot of the mayor of Lisbon has won the first prize for singing in three languages."
"""What no agent says."""

SAID = "what the agent said"
TOOLS = "what its tools returned"


class Judge:
    """Answers `Question`s by a model.

    ``cache`` is a folder that keeps judgements, ``prompts`` one whose files replace the package's own by
    name, ``concurrency`` bounds the calls under way at once. With ``planted``, the first question of each
    kind is preceded by two whose answers are known. A judge that cannot judge raises SimulatorFault
    (or EnvironmentFault where its endpoint fails): it never blames the agent, and never passes it.
    """

    def __init__(
        self,
        model: Model | ModelConfig,
        *,
        cache: Path | None = None,
        prompts: Path | None = None,
        concurrency: int = 8,
        budget: Budget | None = None,
        planted: bool = False,
    ) -> None:
        self.planted = planted
        self._unbelievable: SimulatorFault | None = None
        self._proven = set[str]()
        """The kinds of questions before which its word was put to the proof."""
        self.model = Model(model, role="judge", budget=budget) if isinstance(model, ModelConfig) else model
        self.prompts = prompts
        self.concurrency = concurrency
        self.asked = 0
        """Calls made so far."""
        self._cache = Cache(cache)
        self._gates: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            weakref.WeakKeyDictionary()
        )
        self._templates: dict[str, Template] = {}

    async def classify(self, question: Question) -> Judgement:
        """The label that fits, with evidence from the material.

        Asked in two orders of the options. Where they contradict each other, both are asked again; a label
        that then has no clear majority is ``cannot tell``. So is one whose quotes, asked for twice, do not
        stand in the material. With ``planted``, it first proves itself on this material."""
        if self.planted:
            await self._prove(question)
        return await self._judged(question)

    async def _judged(self, question: Question, *, anew: bool = False) -> Judgement:
        template = self._template(question.prompt)
        config = self.model.config
        key = Cache.key(place(config), config.model, template.template, question.identity())
        kept = self._cache.get(key)
        if kept is not None and not anew:
            return kept
        calls: list[None] = []
        token = _calls.set(calls)
        try:
            answers = await self._both_orders(question, template)
            if len({answer.label for answer in answers}) > 1:
                answers += await self._both_orders(question, template, again=True)
        finally:
            _calls.reset(token)
        judgement = _concluded(answers)
        judgement.model, judgement.prompt = config.model, question.prompt
        judgement.calls = len(calls)
        self._cache.put(key, judgement)
        return judgement

    async def means(
        self, statement: str, utterances: Sequence[Utterance], tool_calls: Sequence[ToolCall] = ()
    ) -> Judgement:
        """``yes``, ``no`` or ``cannot tell``: whether the agent said what a statement says, in any words."""
        said = [one for one in utterances if not says_nothing(one.audible)]
        if not said:
            return Judgement("no", "the agent said nothing that has a meaning", method="rule")
        return await self.classify(_said_question(statement, said, [call.told() for call in tool_calls]))

    async def _prove(self, question: Question) -> None:
        """Before the first question of a kind, ask what is planted for it; raise SimulatorFault for a judge
        that always says yes, always no, or the opposite of what is so."""
        if self._unbelievable is not None:
            raise self._unbelievable
        kind = " ".join([question.question.partition("\n")[0], *question.labels])
        if kind in self._proven:
            return
        planted = list((question.planted or _planted_lines(question)).items())
        # once more the other way round, or one that takes turns would be right by its place
        asked = [*planted, *planted[::-1]]
        found = await asyncio.gather(*(self._judged(each) for _, each in planted))
        found += await asyncio.gather(*(self._judged(each, anew=True) for _, each in planted[::-1]))
        # questions that are asked side by side may each plant their own: none counts unproven
        if planted:
            self._proven.add(kind)
        # who cannot find what is there has proved nothing; who is unsure of what is not there does no harm
        right = {"yes": ("yes",), "no": ("no", CANNOT_TELL)}
        answers = [(known, one.label) for (known, _), one in zip(asked, found, strict=True)]
        if any(label not in right[known] for known, label in answers):
            told = ", ".join(f"{label!r} where {known!r} is right" for known, label in answers)
            self._unbelievable = SimulatorFault(
                f"the judge is not reliable: of planted questions, it answers {told}",
                where=f"the judge {self.model.config.model!r}",
                hint="a stronger `judge` under [tool.simulate.models] helps; the agent is not to blame",
            )
            raise self._unbelievable

    async def _both_orders(
        self, question: Question, template: Template, *, again: bool = False
    ) -> list[Answer]:
        """The answers to the options as they stand and in the opposite order: some models like a place."""
        labels = list(question.options())
        asked = (self._answer(question, template, order, again=again) for order in (labels, labels[::-1]))
        found = await asyncio.gather(*asked, return_exceptions=True)
        answers = [one for one in found if isinstance(one, Answer)]
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return answers

    async def _answer(
        self, question: Question, template: Template, order: Sequence[str], *, again: bool
    ) -> Answer:
        """One answer that can be read and whose quotes hold; asked again once."""
        lettered = {chr(ord("A") + index): label for index, label in enumerate(order)}
        messages = _messages(question, template, lettered)
        if again:
            messages[-1]["content"] += "\nTwo readings of this disagreed. Read the material word by word."
        problem, unreadable, said = "", False, ""
        for _ in range(2):
            asked = (
                [*messages, {"role": "user", "content": f"Answer again: {problem}."}] if problem else messages
            )
            answer = read(await self._ask(asked, lettered), lettered)
            if isinstance(answer, Unusable):
                problem, unreadable, said = answer.problem, True, answer.said
                continue
            wrong = unproven(answer, question)
            if wrong is None:
                return answer
            problem, unreadable = wrong, False
        if unreadable:
            raise SimulatorFault(
                f"the judge's answer could not be used, asked twice: {problem}; it said {said!r}",
                where=f"the judge {self.model.config.model!r}",
                hint="a stronger `judge` under [tool.simulate.models] helps; the agent is not to blame",
            )
        return Answer(CANNOT_TELL, f"asked twice, {problem}", [])

    async def _ask(self, messages: list[dict[str, Any]], lettered: Mapping[str, str]) -> Reply:
        async with self._gate():
            self.asked += 1
            calls = _calls.get(None)
            if calls is not None:
                calls.append(None)
            try:
                return await self._complete(
                    messages, lettered, with_schema=not self.model.lacks("response_format")
                )
            except Unsupported:
                return await self._complete(messages, lettered, with_schema=False)

    async def _complete(
        self, messages: list[dict[str, Any]], lettered: Mapping[str, str], *, with_schema: bool
    ) -> Reply:
        return await self.model.complete(
            messages,
            schema=schema(list(lettered)) if with_schema else None,
            temperature=0.0,
            seed=0,
            max_tokens=MAX_TOKENS,
            top_logprobs=TOP_LOGPROBS,
        )

    def _gate(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if loop not in self._gates:
            self._gates[loop] = asyncio.Semaphore(self.concurrency)
        return self._gates[loop]

    def _template(self, name: str) -> Template:
        """The prompt of this name: the override folder's, or the package's own."""
        if name not in self._templates:
            own = self.prompts / f"{name}.txt" if self.prompts is not None else None
            if own is not None and own.is_file():
                text = own.read_text(encoding="utf-8")
            else:
                text = (
                    files("simulate.scoring.judge")
                    .joinpath("prompts", f"{name}.txt")
                    .read_text(encoding="utf-8")
                )
            template = Template(text)
            missing = {"fence", "question", "options"} - set(template.get_identifiers())
            if missing or not template.is_valid():
                lacks = ", ".join(f"${one}" for one in sorted(missing)) or "valid places"
                raise InputError(
                    f"the judge's prompt lacks {lacks}",
                    where=str(own),
                    hint="it must contain $fence, $question and $options; write $$ for a dollar sign",
                )
            self._templates[name] = template
        return self._templates[name]


def _said_question(statement: str, said: Sequence[Utterance], returned: Sequence[Any]) -> Question:
    """Whether a statement was made, in any words."""
    return Question(
        question="Did the agent say this, in whatever words and in whichever of its lines?\n"
        f"{json.dumps(statement, ensure_ascii=False)}\n"
        "What its tools returned is only there to understand what it speaks of: what a tool returned "
        "and the agent did not say, it did not say.\n"
        "Quote in either case: for a no, the words that contradict it or come nearest to it.",
        labels={
            "yes": "it said this, all of it",
            "no": "it did not say this, or only a part of it, or the opposite",
        },
        material={SAID: [{"turn": one.turn, "text": one.audible} for one in said], TOOLS: list(returned)},
        needs_evidence=frozenset({"yes"}),
        needs_quote=frozenset({"no"}),
        quote_from=(SAID,),
    )


def _planted_lines(question: Question) -> dict[str, Question]:
    """Whether the agent said a line that stands in a question's material, and one that nobody said; nothing
    where no line is long enough."""
    texts = [text for part in question.material.values() for text in leaves(part) if text[:1] not in "[{"]
    line = max(texts, key=len, default="")
    if len(line.split()) < PLANTED_WORDS:
        return {}
    said = [Utterance("agent", line, 1, 0.0, 0.0)]
    return {"yes": _said_question(line, said, []), "no": _said_question(PLANTED_NO, said, [])}


def _messages(question: Question, template: Template, lettered: Mapping[str, str]) -> list[dict[str, Any]]:
    """Instructions and material apart. The fence is drawn anew for each call, so that no text can know it,
    and no part holds a line break."""
    fence = f"DATA-{secrets.token_hex(8)}"
    meanings = question.options()
    options = "\n".join(f"{letter}: {label} ({meanings[label]})" for letter, label in lettered.items())
    instructions = template.substitute(fence=fence, question=question.question, options=options)
    lines = [_one_line({part: value}) for part, value in question.material.items()]
    data = "\n".join([fence, *lines, fence])
    return [
        {"role": "system", "content": instructions},
        {"role": "user", "content": f"{data}\nWhich option is it? Answer with the JSON object."},
    ]


def _one_line(value: Any) -> str:
    """JSON without those line breaks that JSON itself leaves alone."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return re.sub(r"[\u2028\u2029\x85]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _concluded(answers: Sequence[Answer]) -> Judgement:
    """One judgement out of two answers, or of four where the first two disagreed."""
    measured = all(answer.probabilities is not None for answer in answers)
    shares: dict[str, float] = {}
    for answer in answers:
        votes = answer.probabilities if measured and answer.probabilities else {answer.label: 1.0}
        for label, share in votes.items():
            shares[label] = shares.get(label, 0.0) + share / len(answers)
    label = max(shares, key=lambda one: (shares[one], one == CANNOT_TELL))
    chosen = [answer for answer in answers if answer.label == label]
    method = "logprobs" if measured else "votes"
    if shares[label] < SURE or not chosen:
        told = "; ".join(f"{answer.label}: {answer.reason}" for answer in answers)
        reason = (
            f"the judge contradicts itself ({told})"
            if len(answers) > 2
            else f"the judge is not sure ({told})"
        )
        return Judgement(CANNOT_TELL, reason, [], shares, method)
    evidence = list(dict.fromkeys(quote for answer in chosen for quote in answer.evidence))
    return Judgement(label, chosen[0].reason, evidence, shares, method)


def make_judge(
    config: ModelConfig | None,
    *,
    cache: Path | None = None,
    prompts: Path | None = None,
    budget: Budget | None = None,
) -> Judge | None:
    """The judge that is configured, or the one that OPENAI_BASE_URL and OPENAI_API_KEY name; None where there
    is neither: a check that needs one is then not run."""
    found = config or from_environment()
    return None if found is None else Judge(found, cache=cache, prompts=prompts, budget=budget)
