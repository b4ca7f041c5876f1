"""Evaluators' results that both traces carry: a verdict that turned is behaviour, another value content."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import fmean

from simulate.model.text import counted
from simulate.trace.diff.behaviour import Story
from simulate.trace.diff.change import Category, Change, Tolerance
from simulate.trace.diff.wording import brief, near
from simulate.trace.span import Score


@dataclass(slots=True)
class _Results:
    """What one evaluator found in one trace."""

    spans: list[str] = field(default_factory=list[str])
    scores: list[Score] = field(default_factory=list[Score])

    @property
    def value(self) -> float | None:
        """The mean; None where no result has a value."""
        values = [score.value for score in self.scores if score.value is not None]
        return fmean(values) if values else None

    @property
    def failed(self) -> int | None:
        """How many results are bad; None where none says whether it is."""
        verdicts = [passed for score in self.scores if (passed := score.passed()) is not None]
        return verdicts.count(False) if verdicts else None

    @property
    def labels(self) -> list[str]:
        return sorted({score.label for score in self.scores if score.label})


def score_changes(one: Story, other: Story, tolerance: Tolerance) -> list[Change]:
    """By evaluator, of those that both traces name; one that only one of them was scored by tells nothing."""
    before, after = _results(one), _results(other)
    changes: list[Change] = []
    for name in sorted(before.keys() & after.keys()):
        mine, theirs = before[name], after[name]
        for look in (_verdict, _value, _label):
            change = look(name, mine, theirs, tolerance)
            if change is not None:
                change.expected_spans, change.actual_spans = mine.spans, theirs.spans
                changes.append(change)
                break
    return changes


def _results(story: Story) -> dict[str, _Results]:
    found: defaultdict[str, _Results] = defaultdict(_Results)
    for span, view in zip(story.forest.spans, story.forest.views, strict=True):
        for score in view.scores:
            found[score.name].scores.append(score)
            found[score.name].spans.append(span.span_id)
    return found


def _verdict(name: str, mine: _Results, theirs: _Results, _: Tolerance) -> Change | None:
    was, now = mine.failed, theirs.failed
    if was is None or now is None or was == now:
        return None
    if len(mine.scores) == len(theirs.scores) == 1:
        sentence = f"{name} {'failed' if now else 'no longer fails'}{_figures(mine, theirs)}"
    else:
        sentence = f"{name} failed {counted(now, 'time')} instead of {was}{_figures(mine, theirs)}"
    return Change(Category.BEHAVIOUR, f"scores.{name}.verdict", sentence, 0.8, was, now)


def _figures(mine: _Results, theirs: _Results) -> str:
    if mine.value is None or theirs.value is None:
        return ""
    limits = {score.threshold for score in theirs.scores if score.threshold is not None}
    least = f", threshold {limits.pop():.4g}" if len(limits) == 1 else ""
    return f": {theirs.value:.4g} instead of {mine.value:.4g}{least}"


def _value(name: str, mine: _Results, theirs: _Results, tolerance: Tolerance) -> Change | None:
    was, now = mine.value, theirs.value
    if was is None or now is None or near(was, now, tolerance.scores):
        return None
    mean = " on average" if len(mine.scores) > 1 or len(theirs.scores) > 1 else ""
    sentence = f"{name} scored {now:.4g} instead of {was:.4g}{mean}"
    return Change(Category.CONTENT, f"scores.{name}.value", sentence, 9, was, now)


def _label(name: str, mine: _Results, theirs: _Results, _: Tolerance) -> Change | None:
    was, now = mine.labels, theirs.labels
    if not was or not now or was == now:
        return None
    sentence = f"{name} said {_listed(now)} instead of {_listed(was)}"
    return Change(Category.CONTENT, f"scores.{name}.label", sentence, 9.5, was, now)


def _listed(labels: list[str]) -> str:
    return " and ".join(brief(label, 40) for label in labels[:3])
