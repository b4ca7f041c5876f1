"""JSON paths, in which `ignore` is written everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from simulate.errors import InputError
from simulate.model.json_path import covers, parse_path, place_of, remove_path


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("$.a[*].x", {"a": [{"y": 2}, {}], "x": 3, "odd name": 4, "send_mail": 5}),
        ("$..x", {"a": [{"y": 2}, {}], "odd name": 4, "send_mail": 5}),
        ("$.a[1]", {"a": [{"x": 1, "y": 2}], "x": 3, "odd name": 4, "send_mail": 5}),
        ("$['odd name']", {"a": [{"x": 1, "y": 2}, {"x": 1}], "x": 3, "send_mail": 5}),
        ("$.send_*", {"a": [{"x": 1, "y": 2}, {"x": 1}], "x": 3, "odd name": 4}),
        ("$.*", {}),
    ],
)
def test_a_path_removes_what_it_names(path: str, left: Any) -> None:
    value = {"a": [{"x": 1, "y": 2}, {"x": 1}], "x": 3, "odd name": 4, "send_mail": 5}
    assert remove_path(value, parse_path(path))
    assert value == left
    assert not remove_path(value, parse_path("$.nowhere.at.all"))


@pytest.mark.parametrize(
    ("path", "covered"),
    [
        ("$.tools.refund.arguments", True),
        ("$.tools.*.arguments.items[0]", True),
        ("$.tools.*.arguments.items[1]", False),
        ("$..x", True),
        ("$.tools.ref*", True),
        ("$.tools", True),
        ("$.refund", False),
        ("$.tools.refund.arguments.items[0].x.deeper", False),
    ],
)
def test_a_path_covers_what_it_names_and_all_below(path: str, covered: bool) -> None:
    assert covers(parse_path(path), place_of("tools.refund.arguments.items[0].x")) is covered


def test_a_name_with_dots_covers_its_place() -> None:
    assert covers(parse_path("$.tools['shop.refund'].count"), place_of("tools.shop.refund.count"))


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("messages[*].name", "$.messages[*].name"),
        ("$messages", "$.messages"),
        ("/messages/0/name", "$.messages[0].name"),
        ("$.a[", "$.a"),
        ("$.a b", "$['a b']"),
    ],
)
def test_what_is_not_a_path_is_refused_with_the_nearest(path: str, nearest: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_path(path)
    assert nearest in str(refused.value)
    parse_path(nearest)


@pytest.mark.parametrize("path", ["", "$", "$..", "$.a[?(@.x > 1)]", "$.a[0:2]", "$.a['x','y']"])
def test_what_is_near_to_nothing_is_refused(path: str) -> None:
    with pytest.raises(InputError):
        parse_path(path, short=True)
