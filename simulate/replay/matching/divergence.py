"""What a replayed run asked for that the recording does not hold: which part changed, and by how much."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from simulate.model.shapes import is_list, is_object
from simulate.replay.matching.chat import ENDPOINT as CHAT
from simulate.replay.matching.chat import told_by_both
from simulate.replay.matching.components import Parts, fingerprint, parts_of, role_of
from simulate.replay.matching.endpoints import base_of
from simulate.replay.matching.recordings import HttpRecording, HttpResponse, Recording, ToolRecording
from simulate.replay.matching.request import CanonicalRequest

Verdict = Literal["identical", "reordered", "drifted", "never_recorded", "exhausted", "unplayed"]
Policy = Literal["fail", "stop", "nearest", "live", "simulate"]
Pace = Literal["ordered", "instant", "recorded"]
"""When recorded answers come. ``ordered``: at once, but those that were on their way at the same time in the
order that they had. ``instant``: at once. ``recorded``: after as long as when they were recorded."""
PACES: tuple[Pace, ...] = ("ordered", "instant", "recorded")
POLICIES: tuple[Policy, ...] = ("fail", "stop", "nearest", "live", "simulate")

_MOST_CHANGES = 12
REFUSED_STATUS = 418
"""What an agent's client gets for a request that was not recorded: no SDK retries it."""


@dataclass(frozen=True, slots=True)
class JsonChange:
    """One place of a request that differs; None where the place is not there."""

    path: str
    recorded: Any
    now: Any

    def __str__(self) -> str:
        if self.recorded is None:
            return f"{self.path}: new: {_brief(self.now)}"
        if self.now is None:
            return f"{self.path}: gone: {_brief(self.recorded)}"
        one, other = _around(self.recorded, self.now)
        return f"{self.path}: {one} → {other}"


@dataclass(slots=True)
class Divergence:
    """One request or tool call that is not as recorded.

    ``component`` is ``base URL``, ``system prompt``, ``tools``, ``parameters``, ``history``, ``tool result``,
    ``retrieval``, ``model``, ``tool arguments``, ``request``, ``extra call`` or ``missing call``.
    """

    verdict: Verdict
    asked: str
    """What was asked for: the endpoint, or ``tool NAME``."""
    component: str
    components: list[str] = field(default_factory=list[str])
    turn: int | None = None
    span_id: str | None = None
    nearest: str | None = None
    """Where the nearest recording stands."""
    changes: list[JsonChange] = field(default_factory=list[JsonChange])
    key: str = ""
    tainted: bool = False
    """It came after the first divergence, and may be nothing but its consequence."""
    recording: Recording | None = None
    by: str | None = None
    """``caller`` or ``judge`` where the simulator asked, and not the agent."""

    def __str__(self) -> str:
        place = f"turn {self.turn}" if self.turn is not None else "before the first turn"
        span = f", span {self.span_id}" if self.span_id else ""
        asked = "a call of the model" if self.asked == "chat" else self.asked
        if self.by:
            asked = f"a call of the {self.by}'s own model"
        recorded = f" ({self.nearest})" if self.nearest else ""
        what = {
            "drifted": f"{asked} is not as recorded: the {self.component} changed",
            "never_recorded": f"{asked} was never recorded ({self.component})",
            "exhausted": f"{asked} came more often than it was recorded",
            "unplayed": f"{asked}{recorded} was recorded and never asked for",
            "reordered": f"{asked}{recorded} came in another order than recorded",
            "identical": f"{asked} is as recorded",
        }[self.verdict]
        lines = [f"{place}{span}: {what}"]
        if self.nearest and self.changes:
            lines.append(f"  against {self.nearest}:")
        lines += [f"    {change}" for change in self.changes]
        return "\n".join(lines)


def explain_request(
    request: CanonicalRequest, candidates: Sequence[HttpRecording], played: set[int]
) -> Divergence:
    """Find the recording that is nearest to a request that missed, and name what differs.

    ``candidates`` are the recordings of the same endpoint; ``played`` holds the ids of those used up.
    """
    now = fingerprint(request.endpoint, request.body)
    same = [one for one in candidates if one.key == request.key]
    if same and all(id(one) in played for one in same):
        return Divergence(
            "exhausted",
            request.endpoint,
            "extra call",
            ["extra call"],
            nearest=same[-1].place,
            key=request.key,
            recording=same[-1],
        )
    if not candidates:
        return Divergence("never_recorded", request.endpoint, "extra call", ["extra call"], key=request.key)
    history = set(now.get("history", "").split())
    nearest = max(candidates, key=lambda one: (_likeness(now, history, one, played), -one.start))
    body = told_by_both(nearest.body, request.body) if request.endpoint == CHAT else request.body
    names = changed_components(request.endpoint, nearest.body, body, nearest.endpoint)
    changes = changes_between(nearest.body, body)
    if request.endpoint != nearest.endpoint:
        changes.insert(
            0, JsonChange("path", *(one.rsplit(" ", 1)[-1] for one in (nearest.endpoint, request.endpoint)))
        )
    changes += changes_between(
        [list(pair) for pair in nearest.query], [list(pair) for pair in request.query], "?"
    )
    return Divergence(
        "drifted",
        request.endpoint,
        names[0] if names else "request",
        names,
        nearest=nearest.place,
        changes=changes[:_MOST_CHANGES],
        key=request.key,
        recording=nearest,
    )


def explain_base(request: CanonicalRequest, candidates: Sequence[HttpRecording], base: str) -> Divergence:
    """A request to a base URL of which nobody knows that it is the recorded one's service."""
    nearest = next((one for one in candidates if one.key == request.key), next(iter(candidates), None))
    then = None if nearest is None else base_of(nearest.endpoint, nearest.uri)
    hint = f"{base} (if it is the same model, name it in OPENAI_BASE_URL or another …_BASE_URL)"
    return Divergence(
        "never_recorded" if nearest is None else "drifted",
        request.endpoint,
        "base URL",
        ["base URL"],
        nearest=None if nearest is None else nearest.place,
        changes=[JsonChange("base URL", then, hint)],
        key=request.key,
        recording=nearest,
    )


def explain_tool(
    name: str, arguments: Any, key: str, candidates: Sequence[ToolRecording], played: set[int]
) -> Divergence:
    """Like `explain_request`, for a tool call; ``candidates`` are the recorded calls of that tool."""
    asked = f"tool {name}"
    same = [one for one in candidates if one.key == key]
    if same:
        return Divergence(
            "exhausted",
            asked,
            "extra call",
            ["extra call"],
            nearest=same[-1].place,
            key=key,
            recording=same[-1],
        )
    if not candidates:
        return Divergence("never_recorded", asked, "extra call", ["extra call"], key=key)
    differences = [(changes_between(one.arguments, arguments), one) for one in candidates]
    changes, nearest = min(
        differences, key=lambda pair: (len(pair[0]) + (id(pair[1]) in played) * 0.5, pair[1].start)
    )
    return Divergence(
        "drifted",
        asked,
        "tool arguments",
        ["tool arguments"],
        nearest=nearest.place,
        changes=changes[:_MOST_CHANGES],
        key=key,
        recording=nearest,
    )


def never_asked(one: Recording, *, tainted: bool) -> Divergence:
    """What was recorded and nobody asked for."""
    return Divergence(
        "unplayed",
        one.asked,
        "missing call",
        ["missing call"],
        turn=one.turn,
        nearest=one.place,
        key=one.key,
        tainted=tainted,
        recording=one,
    )


def out_of_order(played: Sequence[Recording]) -> Divergence | None:
    """A call that had ended before another one of its task or thread began, and now comes after it."""
    latest: dict[int, float] = {}
    for one in played:
        if one.task < 0:
            continue
        if one.end < latest.get(one.task, float("-inf")):
            return Divergence(
                "reordered", one.asked, "order", ["order"], turn=one.turn, nearest=one.place, key=one.key
            )
        latest[one.task] = max(latest.get(one.task, 0.0), one.start)
    return None


def _likeness(now: dict[str, str], history: set[str], one: HttpRecording, played: set[int]) -> float:
    """Which recording a request was most likely meant to be: shared messages weigh most, then the parts."""
    then = one.components
    score = 0.0 if id(one) in played else 0.6
    known = then.get("history", "").split()
    if history or known:
        shared = sum(message in history for message in known)
        score += 4.0 * shared / max(len(history), len(known))
        if len(history) == len(known):
            score += 1.0
    for part, weight in (("system", 1.5), ("tools", 1.0), ("model", 0.7), ("parameters", 0.7), ("body", 1.0)):
        if part in now and now[part] == then.get(part):
            score += weight
    return score


def changed_components(endpoint: str, recorded: Any, now: Any, then: str | None = None) -> list[str]:
    """The parts of a model request that differ, the most telling first. ``then`` is the endpoint that was
    recorded, where it may name another model."""
    then_parts, now_parts = parts_of(then or endpoint, recorded), parts_of(endpoint, now)
    if then_parts is None or now_parts is None:
        return ["request"]
    names: list[str] = []
    if then_parts.model != now_parts.model:
        names.append("model")
    if then_parts.system != now_parts.system:
        texts = _changed_texts(then_parts.system, now_parts.system)
        names.append("retrieval" if _only_retrieved(texts) else "system prompt")
    if then_parts.tools != now_parts.tools:
        names.append("tools")
    if then_parts.parameters != now_parts.parameters:
        names.append("parameters")
    if then_parts.history != now_parts.history:
        names.append("retrieval" if endpoint.endswith("/embeddings") else _history(then_parts, now_parts))
    return names


def _history(then: Parts, now: Parts) -> str:
    """What kind of message changed first."""
    place = next(
        (index for index, (a, b) in enumerate(zip(then.history, now.history, strict=False)) if a != b), None
    )
    if place is None or len(then.history) != len(now.history):
        return "history"
    one, other = then.history[place], now.history[place]
    if role_of(one) == role_of(other) == "tool":
        return "tool result"
    return "retrieval" if _only_retrieved(_changed_texts(one, other)) else "history"


def _changed_texts(one: Any, other: Any) -> list[tuple[str, str]]:
    changes = changes_between(one, other)
    pairs = [(change.recorded, change.now) for change in changes]
    return [(a, b) for a, b in pairs if isinstance(a, str) and isinstance(b, str)] if pairs else []


_SECTION = re.compile(
    r"^\s*(?:<(/?)(?P<tag>[\w-]+)[^>]*>|#+\s*(?P<heading>.+?)|(?P<label>[A-Z][\w ]{2,40})):?\s*$",
    re.MULTILINE,
)
_RETRIEVED = re.compile(
    r"context|document|source|passage|retriev|knowledge|search result|snippet|excerpt", re.I
)


def _only_retrieved(texts: list[tuple[str, str]]) -> bool:
    """Whether every changed text changed only inside a section that is labelled as retrieved."""
    return bool(texts) and all(_without_retrieved(a) == _without_retrieved(b) for a, b in texts)


def _without_retrieved(text: str) -> str:
    """The text without the sections under ``Context:``, ``## Documents``, ``<sources>`` and the like."""
    kept: list[str] = []
    hidden: str | None = None
    for line in text.splitlines():
        match = _SECTION.match(line)
        name = match and (match["tag"] or match["heading"] or match["label"])
        if match and name:
            if hidden and hidden.startswith("<"):
                if match[1] and f"<{match['tag']}" == hidden:
                    hidden = None
            elif _RETRIEVED.search(name):
                hidden = f"<{match['tag']}" if match["tag"] else name
                kept.append(line)
                continue
            else:
                hidden = None
        inline = re.match(r"\s*(\w[\w ]{2,30}):\s+\S", line)
        if hidden is None and inline and _RETRIEVED.search(inline[1]):
            kept.append(inline[1])
        elif hidden is None:
            kept.append(line)
    return "\n".join(kept)


def changes_between(recorded: Any, now: Any, path: str = "$") -> list[JsonChange]:
    """Where two JSON values differ, as JSON paths; at most as many as a person would read."""
    found: list[JsonChange] = []
    _compare(recorded, now, path, found)
    return found


def _compare(one: Any, other: Any, path: str, found: list[JsonChange]) -> None:
    if len(found) >= _MOST_CHANGES or one == other:
        return
    if is_object(one) and is_object(other):
        old, new = one, other
        for name in [*old, *(name for name in new if name not in old)]:
            if old.get(name) != new.get(name):
                _compare(old.get(name), new.get(name), f"{path}.{name}", found)
    elif is_list(one) and is_list(other):
        _compare_lists(one, other, path, found)
    else:
        found.append(JsonChange(path, one, other))


def _compare_lists(old: list[Any], new: list[Any], path: str, found: list[JsonChange]) -> None:
    if len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            _compare(a, b, f"{path}[{index}]", found)
        return
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    for index in range(max(len(middle_old), len(middle_new))):
        if len(found) >= _MOST_CHANGES:
            return
        a = middle_old[index] if index < len(middle_old) else None
        b = middle_new[index] if index < len(middle_new) else None
        if a is None or b is None:
            found.append(JsonChange(f"{path}[{head + index}]", a, b))
        else:
            _compare(a, b, f"{path}[{head + index}]", found)


def _brief(value: Any, most: int = 120) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return (
        repr(text if len(text) <= most else text[: most - 1] + "…") if isinstance(value, str) else text[:most]
    )


def _around(one: Any, other: Any) -> tuple[str, str]:
    """Two texts shortened to the place where they differ."""
    if not (isinstance(one, str) and isinstance(other, str)) or max(len(one), len(other)) <= 100:
        return _brief(one), _brief(other)
    at = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    start = max(0, at - 30)
    mark = "…" if start else ""
    return _brief(mark + one[start : start + 90]), _brief(mark + other[start : start + 90])


def refusal(text: str, divergence: Divergence | None = None) -> HttpResponse:
    """The response that a refused request gets: an error in OpenAI's shape that no SDK retries."""
    error: dict[str, Any] = {
        "message": f"not in the cassette: {text}",
        "type": "simulate_divergence",
        "code": divergence.verdict if divergence else "refused",
        "param": divergence.component if divergence else None,
    }
    body = orjson.dumps({"type": "error", "error": error})
    headers = [
        ("content-type", "application/json"),
        ("x-should-retry", "false"),
        ("content-length", str(len(body))),
    ]
    return HttpResponse(REFUSED_STATUS, "Not In The Cassette", headers, [(0.0, body)])
