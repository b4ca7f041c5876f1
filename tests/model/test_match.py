"""Matchers: what is equal, what is near, and where the first difference lies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.model.matchers import check, matches, mismatch

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"any": True}, 0),
        ({"matches": "^ord-[0-9]+$"}, "ord-17"),
        ({"matches": "^17$"}, 17),
        ({"about": 42.5, "within": 0.01}, 42.51),
        ({"one_of": ["a", {"contains": "b"}]}, "abc"),
        ({"contains": "re  FUND"}, "a Re fund"),
        ({"contains": {"id": 3}}, [{"id": 2}, {"id": 3, "x": 1}]),
        ({"exactly": {"contains": "x"}}, {"contains": "x"}),
        ({"a": {"b": [1, {"any": True}]}}, {"a": {"b": [1, 2]}}),
        (1, 1.0),
        ({"within": 3}, {"within": 3}),
    ],
)
def test_it_matches(expected: Any, actual: Any) -> None:
    assert mismatch(expected, actual) is None


@pytest.mark.parametrize(
    ("expected", "actual", "said"),
    [
        (42.5, "42.50", '$: expected 42.5, got "42.50" (the number came as a text)'),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "$.a.b[1]: expected 2, got 3"),
        ({"a": 1}, {}, "$.a: expected 1, but it is missing"),
        ({"exactly": {"a": 1}}, {"a": 1, "b": 2}, "$.b: not expected, but it is 2"),
        ([1], [1, 2], "$: expected 1 items, got 2"),
        (True, 1, "$: expected true, got 1"),
        ({"any": True}, None, "$: expected anything, got nothing"),
        ({"about": 1, "within": 0.1}, "1", '$: expected 1 ± 0.1, got "1" (the number came as a text)'),
        ({"one_of": [1, 2]}, 3, "$: expected one of [1, 2], got 3"),
        ({"a b": 1}, {"a b": 2}, "$['a b']: expected 1, got 2"),
    ],
)
def test_the_first_difference_is_said_with_its_path(expected: Any, actual: Any, said: str) -> None:
    assert mismatch(expected, actual) == said


@given(json_values)
def test_a_value_is_exactly_itself(value: Any) -> None:
    assert matches({"exactly": value}, value)


@pytest.mark.parametrize(
    "wrong",
    [{"matches": "("}, {"a": [{"about": "x"}]}, {"one_of": 3}, {"any": False}, {"about": 1, "within": "2"}],
)
def test_a_matcher_that_cannot_work_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"\$"):
        check(wrong)
