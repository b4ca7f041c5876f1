"""How well two readers agree, beyond what chance would give: people and a judge, or two judges."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from simulate.model.reliability import wilson

WEAK = 0.8
"""A label that is found less often than this, or right less often where it is given, is weak."""
SOURCE = "Cohen 1960; interval by Fleiss, Cohen & Everitt 1969"


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement beyond chance: 1 is perfect, 0 is what chance gives, below 0 is worse. With its 95 %
    interval, None where one side gives one label only, so that nothing is known of its spread."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class LabelQuality:
    """One label: how many people gave it (``given``), of how many the judge found (``found``), and how many
    the judge gave in all (``judged``)."""

    label: str
    given: int
    found: int
    judged: int
    taken_for: str | None
    """What the judge most often says instead."""

    @property
    def recall(self) -> float | None:
        """Found of those that people gave; None where nobody gave it."""
        return self.found / self.given if self.given else None

    @property
    def precision(self) -> float | None:
        """Right of those that the judge gave; None where it never did."""
        return self.found / self.judged if self.judged else None

    @property
    def weak(self) -> bool:
        """Whether either is below `WEAK`."""
        return any(share is not None and share < WEAK for share in (self.recall, self.precision))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Pairs of labels, (what people say, what the judge says), and what follows from them."""

    pairs: tuple[tuple[str, str], ...]

    @property
    def labels(self) -> list[str]:
        """Every label that either gave, in the order in which people's first appear."""
        return list(dict.fromkeys([one for one, _ in self.pairs] + [other for _, other in self.pairs]))

    @property
    def agreed(self) -> int:
        """Pairs of equal labels."""
        return sum(one == other for one, other in self.pairs)

    @property
    def share(self) -> tuple[float, float, float]:
        """The raw share that agrees, with its 95 % interval (Wilson 1927); at least one pair is needed."""
        low, high = wilson(len(self.pairs), self.agreed)
        return self.agreed / len(self.pairs), low, high

    def matrix(self) -> list[list[int]]:
        """Counts: a row for each label of people's, a column for each of the judge's, both as `labels`."""
        counts = Counter(self.pairs)
        return [[counts[one, other] for other in self.labels] for one in self.labels]

    def kappa(self) -> Kappa | None:
        """Cohen's kappa; None where both give one label only, so that chance alone agrees wholly."""
        return kappa(self.pairs)

    def qualities(self) -> list[LabelQuality]:
        """Each label's own figures, in the order of `labels`."""
        counts = Counter(self.pairs)
        found: list[LabelQuality] = []
        for label in self.labels:
            instead = [(counts[label, other], other) for other in self.labels if other != label]
            most, other = max(instead, key=lambda one: one[0], default=(0, ""))
            given = sum(one == label for one, _ in self.pairs)
            judged = sum(one == label for _, one in self.pairs)
            found.append(LabelQuality(label, given, counts[label, label], judged, other if most else None))
        return found


def kappa(pairs: Sequence[tuple[str, str]]) -> Kappa | None:
    """Cohen's kappa of pairs of labels: (p_o - p_e) / (1 - p_e), with p_o the share that agrees and p_e the
    share that would by chance, from how often each side gives each label (Cohen 1960).

    The interval is the large-sample one (Fleiss, Cohen & Everitt 1969), as statsmodels' ``cohens_kappa``
    gives it. Where all agree that has no width, however few they are; there the lower end is what the Wilson
    interval of the share leaves of kappa. None where chance alone would agree wholly."""
    n = len(pairs)
    if n == 0:
        return None
    rows, columns = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    seen = sum(one == other for one, other in pairs) / n
    chance = sum(rows[label] * columns[label] for label in rows) / n**2
    if chance >= 1:
        return None
    value = (seen - chance) / (1 - chance)
    if seen == 1:
        return Kappa(value, (wilson(n, n)[0] - chance) / (1 - chance), 1.0)
    if len(rows) == 1 or len(columns) == 1:
        return Kappa(value, None, None)
    spread = -((seen * chance - 2 * chance + seen) ** 2)
    for (one, other), count in Counter(pairs).items():
        share = count / n
        if one == other:
            spread += share * ((1 - chance) - (rows[one] + columns[one]) / n * (1 - seen)) ** 2
        else:
            spread += (1 - seen) ** 2 * share * ((columns[one] + rows[other]) / n) ** 2
    half = 1.959964 * math.sqrt(max(0.0, spread) / n) / (1 - chance) ** 2
    return Kappa(value, max(-1.0, value - half), min(1.0, value + half))
