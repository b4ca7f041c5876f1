"""Scalars are what they look like, and a file that means harm is refused quickly."""

import contextlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate.errors import FileProblems
from simulate.model.loading import yaml_reader
from simulate.model.loading.yaml_reader import read_documents
from simulate.model.units import Written


def values(text: str | bytes) -> list[object]:
    data = text.encode() if isinstance(text, str) else text
    return [document.value for document in read_documents(data, "f.yaml")]


def complaint(text: str | bytes) -> str:
    with pytest.raises(FileProblems) as caught:
        values(text)
    return str(caught.value)


@pytest.fixture(params=["C", "Python"], autouse=True)
def composer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds with libyaml and without it."""
    made = yaml_reader._composer_class(pure=request.param == "Python")
    monkeypatch.setattr(yaml_reader, "_Composer", made)


@pytest.mark.parametrize(
    "text",
    [
        "012",
        "12:30",
        "no",
        "yes",
        "on",
        "1e3",
        "2024-01-01",
        "0x1f",
        "1_000",
        "+1",
        "-0",
        ".5",
        "True",
        "=",
        "4417x",
    ],
)
def test_what_looks_like_text_is_text(text: str) -> None:
    assert values(f"a: {text}") == [{"a": text}]


def test_plain_numbers_and_words_are_typed() -> None:
    (found,) = values("[42, -1, 42.50, -0.5, true, false, null, ~, ]")
    assert found == [42, -1, 42.5, -0.5, True, False, None, None]
    assert [type(item) for item in found] == [int, int, Written, Written, bool, bool, type(None), type(None)]
    assert found[2].text == "42.50"


def test_quoted_and_folded_scalars_are_text() -> None:
    assert values("a: '42'\nb: \"true\"\nc: |\n  7\nd: ''\ne: !!str 9") == [
        {"a": "42", "b": "true", "c": "7\n", "d": "", "e": "9"}
    ]


def test_keys_are_text() -> None:
    assert values("1: a\ntrue: b\nnull: c\n1.50: d") == [{"1": "a", "true": "b", "null": "c", "1.50": "d"}]


def test_an_id_too_long_for_a_number_stays_as_it_is() -> None:
    assert values("a: 12345678901234567890") == [{"a": "12345678901234567890"}]


def test_anchors_and_merges() -> None:
    text = "base: &b {p: 1, q: 2}\nother: &o {q: 3, r: 4}\none: {<<: *b, q: 9}\ntwo: {<<: [*b, *o]}\nsame: *b"
    (found,) = values(text)
    assert found["one"] == {"p": 1, "q": 9}
    assert found["two"] == {"p": 1, "q": 2, "r": 4}
    assert found["same"] == {"p": 1, "q": 2}


def test_several_documents_and_empty_ones() -> None:
    assert values("\ufeffa: 1\r\n---\r\n---\r\nb: 2\r\n...\r\n") == [{"a": 1}, {"b": 2}]
    assert values("") == []
    assert values("# only a comment\n") == []


def test_documents_know_their_line() -> None:
    first, second = read_documents(b"# c\na: 1\n---\n\nb: 2\n", "f.yaml")
    assert (first.line, second.line) == (2, 5)


def test_places() -> None:
    (document,) = read_documents(
        b"base: &b\n  deep: {x: 1}\nuse:\n  <<: *b\nlist:\n  - a\n  - k: v\n", "f.yaml"
    )
    assert document.place(["list", 1, "k"]) == (7, 8)
    assert document.place(["list", 1, "k"], key=True) == (7, 5)
    assert document.place(["use", "deep", "x"]) == (2, 13)
    assert document.place(["list", 1, "<label>", "k"]) == (7, 8)
    assert document.place(["list", 7]) == (6, 3)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3", 'f.yaml:3:1: the key "a" is given twice\n  first in line 1'),
        ("a: {b: 1, b: 2}", 'f.yaml:1:11: the key "b" is given twice'),
        ("? [x]\n: 1", "f.yaml:1:3: a key must be plain text"),
        ("a: {{column}}", 'needs quotes: "{{column}}"'),
        ("a: !!python/object:os.system x", "f.yaml:1:4: the tag !!python/object:os.system is not supported"),
        ("a: !env X", "the tag !env is not supported"),
        ("a: !!int 012", "the tag !!int is not supported"),
        ("<<: 3", "<< merges mappings only"),
        ("a: &a {b: 1}\nc:\n  <<: *a\n  <<: *a", "f.yaml:4:3: a second <<"),
        ("a: &a [*a]", "an anchor that holds itself"),
        ("a: *nobody", "undefined alias"),
        ("a: b: c", "f.yaml:1:5: not YAML"),
        ("a: [1, 2\nb: 3", "not YAML"),
        ("a:\n\tb: c", "f.yaml:2:1: not YAML: a tab where spaces belong"),
        ("a: \x07b", "f.yaml:1:4: the control character U+0007"),
        (b"a: 1\nb: \xff", "f.yaml:2:4: not UTF-8"),
        (b"a: b\0c", "f.yaml:1:5: a NUL byte"),
        (b"\xff\xfea\0", "UTF-16"),
        ("a: " + "x" * yaml_reader.MAX_BYTES, "larger than 1 MiB"),
    ],
)
def test_refused(text: str | bytes, told: str) -> None:
    assert told in complaint(text)


def test_all_that_is_wrong_is_told() -> None:
    told = complaint("a: 1\na: 2\nb: !x y\n? {k: v}\n: 1")
    assert told.count("f.yaml:") == 3


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 20_000,
        "{a: " * 20_000,
        "- " * 5_000,
        "? " * 5_000,
        "\n".join(" " * depth + "a:" for depth in range(700)),
        "a: &a ["
        + "1," * 9
        + "1]\n"
        + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(8)
        ),
    ],
    ids=["brackets", "braces", "dashes", "keys", "indents", "aliases"],
)
def test_bombs_are_refused(bomb: str) -> None:
    told = complaint(bomb)
    assert "levels deep" in told or "values, aliases expanded" in told


def test_a_file_of_mistakes_is_not_told_in_full() -> None:
    with pytest.raises(FileProblems) as caught:
        values("a: 1\n" * 3_000)
    assert len(caught.value.problems) == yaml_reader.MOST_PROBLEMS


def test_many_brackets_that_are_text_do_no_harm() -> None:
    assert values('a: "' + "[" * 5_000 + '"') == [{"a": "[" * 5_000}]


_tree = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(_tree.filter(lambda value: value is not None))
def test_what_pyyaml_writes_is_read_back(value: object) -> None:
    assert values(yaml.safe_dump(value)) == [value]


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=200)
    | st.text(alphabet="ab:-[]{}&*!|>'\"%@`#?,\n\t 1.~<", max_size=120).map(str.encode)
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(FileProblems):
        assert all(document.line > 0 for document in read_documents(data, "f.yaml"))
