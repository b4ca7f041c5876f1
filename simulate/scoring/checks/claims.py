"""``backs_claims``: what the agent says it has done, a tool of its own did.

By rule for English, from the tools' names and descriptions; where a judge is configured it reads the rest, in
any language. The rule looks for deeds in the first person ("I have refunded it") and for those that were done
to something ("your booking has been cancelled") where a tool of the agent's does such a thing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from simulate.model.expect import BacksClaims
from simulate.model.persona import Persona
from simulate.model.text import shorten
from simulate.model.text_values import sentences
from simulate.model.transcript import Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks.check import Check, Evidence, judges
from simulate.scoring.checks.tools import BLIND
from simulate.trace.reading import ToolCall, ToolName, Unknown

_DEEDS = (
    ("refund", "reimburse", "reimbursement", "credit", "repay"),
    ("book", "rebook", "reserve", "reservation"),
    ("send", "sent", "email", "mail", "text", "message", "notify", "sms"),
    ("cancel", "cancellation"),
    ("order", "purchase", "buy", "bought"),
    ("change", "rebook", "update", "modify", "edit", "correct", "set", "adjust", "amend"),
    ("schedule", "reschedule", "appointment", "arrange", "book"),
    ("freeze", "froze", "frozen", "block", "lock", "suspend"),
    ("unfreeze", "unblock", "unlock", "reactivate"),
    ("open", "create", "file", "submit", "register", "raise", "log", "ticket", "case"),
    ("close",),
    ("transfer", "wire", "move"),
    ("pay", "paid", "payment", "charge", "bill"),
    ("delete", "remove", "erase"),
    ("escalate", "forward", "handoff"),
    ("replace", "replacement", "exchange"),
    ("ship", "shipment", "dispatch"),
    ("reset",),
    ("waive", "discount", "apply"),
)
"""Words of one deed. Another verb is a deed where one of the agent's tools has it in its name ("renew_loan");
the rest is left to the judge."""
_LOOKS = frozenset(
    {"get", "look", "lookup", "find", "search", "list", "check", "read", "fetch", "verify", "query"}
    | {"calculate", "compute", "retrieve", "validate", "estimate", "track", "think"}
)
_ADVERBS = r"(?:(?:just|now|already|also|successfully|since|therefore)\s+)*"
_FIRST = re.compile(rf"\b(?P<who>I|we)(?:['’]ve|\s+have)?\s+{_ADVERBS}(?P<verb>[a-z]+)\b", re.IGNORECASE)
_DONE = re.compile(
    rf"(?:\b(?:has|have)|['’](?:s|ve))\s+{_ADVERBS}been\s+{_ADVERBS}(?P<verb>[a-z]+)\b|\b(?:is|are)\s+now\s+(?P<now>[a-z]+)\b",
    re.IGNORECASE,
)
_THING = (
    r"(?:refund|reimbursement|repayment|booking|reservation|cancell?ation|replacement|appointment|transfer)"
)
_ABOUT = r"(?:\s+(?:of|for|to|in|from)\b(?:[^.!?,;]|\.(?=\d)){1,30}?)?"
_STATE = (
    r"(?:on (?:its|the) way|under\s?way|through|gone (?:out|through)|completed?|confirmed|done|made"
    r"|in process|being (?:processed|sent|made))"
)
_NAMED = re.compile(
    rf"\b(?P<thing>{_THING}){_ABOUT}\s(?:is|has|was|went)\s+{_ADVERBS}(?:been\s+)?{_ADVERBS}(?P<state>{_STATE})\b"
    rf"|^(?:(?:done|okay|ok|great|perfect|all set|sure)\W+)?(?:(?:your|the|full)\s+)*(?P<noun>{_THING})\s+"
    rf"(?P<short>issued|processed|placed|sent|{_STATE})\b",
    re.IGNORECASE,
)
"""A deed told as a thing: "your refund is on its way", "booking confirmed"."""
_SAW_TO = re.compile(r"\b(?:t(?:aken|ook) care of|(?:gone|went) ahead with)\b", re.IGNORECASE)
"""The same as "made"."""
_OPEN = re.compile(
    r"\b(?:if|once|when|after|until|before|unless|whether|would|could|should|not|never|cannot|unable)\b|n['’]t\b",
    re.IGNORECASE,
)
"""A condition or a denial claims nothing."""
_NONE = re.compile(r"\b(?:no|neither)\s+(?:[\w-]+\s+){0,3}$", re.IGNORECASE)
"""Before a deed: "no refund has been issued"."""
_ANY = re.compile(r"\b(?:an?|any|each)\s+(?:[\w-]+\s+)?$", re.IGNORECASE)
_AS_A_RULE = re.compile(r"\sis\s+(?:made|done|confirmed|completed?)$", re.IGNORECASE)
"""After `_ANY`, no deed but how things are done: "a refund is made to the card within five days"."""
_CARRIED_OUT = frozenset({"issued", "processed", "initiated", "made", "placed", "completed", "put"})
"""Verbs that say nothing of the deed: the noun beside them does."""
_FOR_THE_JUDGE = (
    "That it has just done something for the caller, such as a refund, a booking or a message sent, "
    "though none of its tool calls did that"
)


Deed = int | str
"""A group of `_DEEDS`, or the stem of a verb that only the tools' names tell."""


@dataclass(frozen=True, slots=True)
class _Claim:
    said: Utterance
    sentence: str
    verb: str
    deeds: frozenset[Deed]
    who: str
    """``i``, ``we``, or empty where nobody is named."""
    near: frozenset[Deed]
    """The deeds that its other words name: "arranged a replacement" is a replacement, too."""
    thing: str = ""
    """The stem of the word that names the deed as a thing."""


@judges(BacksClaims)
class BacksClaimsCheck(Check[BacksClaims]):
    """What the agent says it has done, one of its tool calls did."""

    def describe(self) -> str:
        return "what the agent says it has done, one of its tools did"

    async def judge(self, evidence: Evidence) -> Verdict:
        said = evidence.conversation.by("agent")
        if not said:
            return self.verdict("not_run", "the agent said nothing")
        persona = evidence.scenario.persona
        english = not isinstance(persona, Persona) or persona.speaks.language.lower().startswith("en")
        if not english and evidence.judge is None:
            hint = "configure a judge: [tool.simulate.models] in pyproject.toml"
            return self.verdict("not_run", "without a judge, claims are found in English only", hint=hint)
        open_claims: list[Verdict] = []
        claims = list(_claims(said, _tools(evidence))) if english else []
        for claim in claims:
            found = self._by_rule(evidence, claim)
            if found is not None and found.status == "failed":
                return found
            open_claims += [] if found is None else [found]
        if open_claims:
            return open_claims[0]
        if evidence.judge is not None:
            return await self._by_judge(evidence, said)
        fact = (
            f"claims of a deed: {len(claims)}, each backed"
            if claims
            else "it claims no deed that a rule knows"
        )
        return self.verdict("passed", fact)

    def _by_rule(self, evidence: Evidence, claim: _Claim) -> Verdict | None:
        """The verdict on a claim that nothing backs; None where something does."""
        earlier = [call for call in evidence.tool_calls if call.turn is None or call.turn <= claim.said.turn]
        ran = [call for call in earlier if call.happened is not False]
        same = [call for call in ran if _does(call, claim)]
        tools = _tools(evidence)
        known = {deed for name in tools for deed in _deeds_of_tool(name)} | _own_words(tools)
        if any(call.error is None and call.happened is True for call in same):
            return None
        if claim.who != "i" and _is_reported(evidence, claim):
            return None
        if not claim.who and not claim.deeds & known:
            return None
        at = {"turn": claim.said.turn, "span_id": claim.said.span_id, "evidence": [claim.sentence]}
        unsure = next((call for call in ran if _may_be_anything(str(call.name))), None)
        if not same and unsure is not None:
            return self.verdict("not_run", f"whether {unsure} is what it claims cannot be told by rule", **at)
        waiting = next((call.happened for call in same if isinstance(call.happened, Unknown)), None)
        if waiting is not None:
            return self.verdict("not_run", waiting.why, hint=BLIND, **at)
        if same:
            fact = f"it says “{shorten(claim.sentence, 160)}”, but {same[-1]} failed: {same[-1].error}"
            return self.verdict("failed", fact, **at)
        if evidence.no_tools_because:
            return self.verdict("not_run", evidence.no_tools_because, hint=BLIND, **at)
        called = ", ".join(dict.fromkeys(str(call.name) for call in ran)) or "none"
        fact = f"it says “{shorten(claim.sentence, 160)}”, and no tool did; called until then: {called}"
        return self.verdict("failed", fact, **at)

    async def _by_judge(self, evidence: Evidence, said: list[Utterance]) -> Verdict:
        assert evidence.judge is not None
        if evidence.no_tools_because:
            return self.verdict("not_run", evidence.no_tools_because, hint=BLIND)
        judgement = await evidence.judge.means(_FOR_THE_JUDGE, said, evidence.tool_calls)
        status: Any = {"yes": "failed", "no": "passed"}.get(judgement.label, "not_run")
        return self.verdict(status, judgement.reason, evidence=judgement.evidence)


def _claims(said: Iterable[Utterance], tools: Collection[str]) -> Iterator[_Claim]:
    """What is claimed: a deed of `_DEEDS`, or one that the agent's tools are named after."""
    own, verbs = _own_words(tools), _own_verbs(tools)
    for each in said:
        for told in sentences(each.audible):
            if told.endswith("?"):
                continue
            sentence = _SAW_TO.sub("made", told)
            for match in (*_FIRST.finditer(sentence), *_DONE.finditer(sentence)):
                found = match.groupdict()
                verb = (found["verb"] or found.get("now") or "").casefold()
                subject, rest = sentence[: match.start()], sentence[match.end() :][:40]
                who = (found.get("who") or "").casefold()
                words = _words(rest if who else subject)
                near: frozenset[Deed] = _deeds_of(words)
                if verb in _CARRIED_OUT:
                    near |= words & own
                deeds = near if verb in _CARRIED_OUT else _deeds_of({_stem(verb)}) | ({_stem(verb)} & verbs)
                none = not who and _NONE.search(subject)
                if deeds and _is_past(verb) and not none and not _OPEN.search(sentence[: match.end() + 1]):
                    yield _Claim(each, told, verb, deeds, who, near)
            for match in _NAMED.finditer(sentence):
                thing = _stem((match["thing"] or match["noun"]).casefold())
                state = (match["state"] or match["short"]).casefold()
                subject = sentence[: match.start()]
                general = _NONE.search(subject) or (_ANY.search(subject) and _AS_A_RULE.search(match[0]))
                if not general and not _OPEN.search(sentence[: match.end() + 1]):
                    yield _Claim(each, told, state, _deeds_of({thing}), "", frozenset(), thing)


def _is_past(verb: str) -> bool:
    return verb.endswith("ed") or verb in (
        "sent",
        "paid",
        "bought",
        "frozen",
        "froze",
        "made",
        "put",
        "set",
        "reset",
    )


def _stem(word: str) -> str:
    """A word without the endings of its forms: cancelled, cancels and cancelling are cancel."""
    if word.endswith(("ied", "ies")):
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s"):
        if len(word) - len(ending) >= 3 and word.endswith(ending):
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    return word.removesuffix("l") if word.endswith("ll") and len(word) > 4 else word.removesuffix("e")


_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def _words(text: str) -> set[str]:
    parts = _PARTS.findall(text.replace("_", " "))
    return {_stem(part.casefold()) for part in parts}


_STEMS = tuple(frozenset(_stem(word) for word in group) for group in _DEEDS)
_CHANGE = next(at for at, group in enumerate(_DEEDS) if "change" in group)
_LOOK_STEMS = frozenset(_stem(word) for word in _LOOKS)


def _own_verbs(tools: Iterable[str]) -> frozenset[str]:
    """The words of `_own_words` that begin a name: with ``update_address``, "addressed" is no deed."""
    first = (_PARTS.search(ToolName(each.split(" ")[0]).bare.replace("_", " ")) for each in tools)
    return _own_words(tools) & {_stem(found[0].casefold()) for found in first if found is not None}


def _own_words(tools: Iterable[str]) -> frozenset[str]:
    """The words in the names of tools that do something, other than those of `_DEEDS`."""
    names = [_words(each.split(" ")[0]) for each in tools]
    return frozenset(
        word for words in names if not words & _LOOK_STEMS for word in words if not _deeds_of({word})
    )


def _deeds_of(words: set[str]) -> frozenset[Deed]:
    return frozenset(at for at, group in enumerate(_STEMS) if words & group)


def _tools(evidence: Evidence) -> set[str]:
    """The names and descriptions of the agent's tools, as far as they are known."""
    names = set(evidence.scenario.tools) | {str(call.name) for call in evidence.tool_calls}
    for _, view in evidence.reading:
        for tool in view.tool_definitions or ():
            given = tool.get("function") if isinstance(tool.get("function"), dict) else tool
            names.add(f"{given.get('name', '')} {str(given.get('description') or '').split('.')[0]}")
    return names


def _deeds_of_tool(name: str) -> frozenset[Deed]:
    """What a tool does by its name: a look-up does nothing, whatever it looks up."""
    words = _words(name.split(" ")[0])
    return frozenset() if words & _LOOK_STEMS else _deeds_of(_words(name))


def _does(call: ToolCall, claim: _Claim) -> bool:
    """Whether a call does what is claimed, by its name or by what it was given: ``status: cancelled``."""
    deeds = _deeds_of_tool(str(call.name)) | _own_words([str(call.name)])
    arguments = call.arguments
    given = set[str]() if isinstance(arguments, Unknown) else _words(json.dumps(arguments, default=str))
    return bool(deeds & (claim.deeds | claim.near)) or bool(deeds and _stem(claim.verb) in given)


def _may_be_anything(name: str) -> bool:
    """Whether a tool's name does not tell what it does: neither a deed nor a look-up, or a change of any
    kind."""
    return not _words(name) & _LOOK_STEMS and (not _deeds_of_tool(name) or _CHANGE in _deeds_of_tool(name))


def _is_reported(evidence: Evidence, claim: _Claim) -> bool:
    """Whether a tool's result or the caller told of it: "your parcel has been shipped" is no claim then."""
    told = [
        json.dumps(call.result, default=str)
        for call in evidence.tool_calls
        if not isinstance(call.result, Unknown) and call.result is not None
    ]
    if claim.thing and any(
        claim.thing in _words(f"{call.name} {json.dumps(call.result, default=str)}")
        for call in evidence.tool_calls
        if call.happened is not False
    ):
        return True
    stated = re.compile(rf"\b(?:was|were|been|is|got)\s+(?:\w+\s+)?{re.escape(claim.verb)}\b", re.IGNORECASE)
    heard = (said.text for said in evidence.conversation.by("caller") if said.turn <= claim.said.turn)
    return any(claim.verb in text.casefold() for text in told) or any(map(stated.search, heard))
