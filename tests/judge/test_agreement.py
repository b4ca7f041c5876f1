"""Agreement beyond chance, held against figures of others."""

import pytest

from simulate.scoring.judge.agreement import Agreement, kappa

Pairs = list[tuple[str, str]]


def pairs(table: list[list[int]]) -> Pairs:
    labels = "abcdefgh"
    return [
        (labels[row], labels[column])
        for row, counts in enumerate(table)
        for column, count in enumerate(counts)
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("table", "value", "low", "high"),
    [
        # statsmodels 0.14.5, stats.inter_rater.cohens_kappa
        ([[88, 14, 18], [10, 40, 10], [2, 6, 12]], 0.4915254, 0.3915637, 0.5914871),
        # Fleiss, Cohen & Everitt 1969, table 1: kappa .429, standard error .0537 with n = 200
        ([[106, 10, 4], [22, 28, 10], [2, 12, 6]], 0.429, 0.429 - 1.96 * 0.0537, 0.429 + 1.96 * 0.0537),
    ],
)
def test_kappa_and_its_interval(table: list[list[int]], value: float, low: float, high: float) -> None:
    found = kappa(pairs(table))
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((value, low, high), abs=1e-3)


def test_kappa_where_there_is_nothing_to_tell() -> None:
    assert kappa([]) is None
    assert kappa(pairs([[7]])) is None, "one label on both sides: chance alone agrees wholly"


def test_perfect_agreement_of_a_few_is_not_certain() -> None:
    few, many = kappa(pairs([[2, 0], [0, 2]])), kappa(pairs([[200, 0], [0, 200]]))
    assert few is not None and many is not None and few.low is not None and many.low is not None
    assert few.value == many.value == few.high == 1
    assert few.low < 0.1 < 0.97 < many.low


def test_a_reader_that_always_says_the_same_agrees_by_chance_only() -> None:
    found = kappa([("yes", "yes")] * 9 + [("no", "yes")] * 3)
    assert found is not None and found.value == pytest.approx(0)
    assert found.low is None, "the formula gives an interval without width, which would be certainty"


def test_more_disagreement_than_by_chance_is_below_zero() -> None:
    found = kappa([("yes", "no")] * 5 + [("no", "yes")] * 5)
    assert found is not None and found.value == pytest.approx(-1) and found.low == -1


def test_the_confusion_of_labels() -> None:
    found = Agreement(
        tuple([("yes", "yes")] * 3 + [("no", "yes")] * 2 + [("no", "no")] + [("no", "cannot tell")])
    )
    assert found.labels == ["yes", "no", "cannot tell"]
    assert found.matrix() == [[3, 0, 0], [2, 1, 1], [0, 0, 0]]
    yes, no, unsure = found.qualities()
    assert (yes.recall, yes.precision, yes.weak) == (1, 0.6, True)
    assert (no.recall, no.precision, no.taken_for, no.weak) == (0.25, 1, "yes", True)
    assert (unsure.recall, unsure.precision, unsure.weak) == (None, 0, True)
