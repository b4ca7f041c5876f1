"""A strict reader of YAML, in which scalars are what they look like.

PyYAML's own loaders turn ``012`` into 10, ``12:30`` into 750 and ``no`` into False, and let the last of two
equal keys win. Here only ``42``, ``-1``, ``42.50``, ``true``, ``false``, ``null``, ``~`` and nothing at all
are typed, and only without quotes; all else is text. Keys are always text. Anchors and merges (``<<``) work.

libyaml composes the nodes and these keep their places, so that a good file pays nothing for positions:
`Document.place` looks one up only when there is something to complain about.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from simulate.errors import FileProblems, InputError, Problem
from simulate.model.shapes import is_object
from simulate.model.text import shorten
from simulate.model.units import Written

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 100
MAX_VALUES = 300_000
"""Values of one file once its aliases are expanded: what stops an alias bomb."""

MOST_PROBLEMS = 200
"""So many of one document are told; nobody reads on, and a file made to hurt could hold a million."""

_SAFE_DEPTH = 1000  # the composer of libyaml recurses in C; so deep it may go on any thread's stack
# beyond 18 digits a whole number no longer fits everywhere, and is an id rather than an amount
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30})?")
_TYPED = {"true": True, "false": False, "null": None, "~": None, "": None}
_PLAIN = "plain"
_TEXT = "tag:yaml.org,2002:str"
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_KNOWN_TAGS = (_PLAIN, _TEXT, "!", *_COLLECTIONS)


class _Resolver:
    """Tells PyYAML's composer to type nothing: it only marks which scalars stood without quotes."""

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return _COLLECTIONS[0] if kind is MappingNode else _COLLECTIONS[1]

    def descend_resolver(self, current_node: Any, current_index: Any) -> None: ...

    def ascend_resolver(self) -> None: ...


def _composer_class(*, pure: bool = False) -> type[Any]:
    """PyYAML's composer in C where its wheel has it, else in Python."""
    base = None if pure else getattr(yaml, "CSafeLoader", None)
    return type("Composer", (_Resolver, base or yaml.SafeLoader), {})


_Composer = _composer_class()


@dataclass(slots=True)
class Document:
    """One document of a file: its data, and the nodes that know where each value stands."""

    file: str
    value: Any
    node: Node

    @property
    def line(self) -> int:
        """Where it starts, from 1."""
        return self.node.start_mark.line + 1

    def mapping(self) -> dict[str, Any] | None:
        """The data where it is a mapping."""
        value: Any = self.value
        return value if is_object(value) else None

    def place(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of the value at ``path``, or of its key; of the nearest that exists.

        Names that lead nowhere are passed over: a model's own labels are among them."""
        node, mark = self.node, self.node.start_mark
        for step in path:
            found = _child(node, step)
            if found is not None:
                key_node, node = found
                mark = (key_node if key and key_node is not None else node).start_mark
        return mark.line + 1, mark.column + 1

    def with_key(self, key: str, path: Sequence[str | int]) -> Document:
        """The same, with what stands at ``path`` as the value of ``key``, too."""
        found: tuple[yaml.Node | None, yaml.Node] | None = None, self.node
        for step in path:
            found = _child(found[1], step) if found is not None else None
        if found is None or not isinstance(self.node, yaml.MappingNode):
            return self
        node = found[1]
        name = yaml.ScalarNode("tag:yaml.org,2002:str", key, node.start_mark, node.end_mark)
        marks = self.node.start_mark, self.node.end_mark
        return Document(
            self.file, self.value, yaml.MappingNode(self.node.tag, [*self.node.value, (name, node)], *marks)
        )

    def problem(
        self, path: Sequence[str | int], message: str, hint: str | None = None, *, key: bool = False
    ) -> Problem:
        """Something wrong at ``path``."""
        line, column = self.place(path, key=key)
        return Problem(message, self.file, line, column, hint)


def read_documents(data: bytes, file: str) -> list[Document]:
    """Every document of a file that holds something; raises FileProblems."""
    _check_bytes(data, file)
    documents: list[Document] = []
    builder = _Builder(file)
    try:
        check_depth(data, file)
        for node in _nodes(data):
            value = builder.build(node, 0)
            if value is not None:
                documents.append(Document(file, value, node))
    except yaml.MarkedYAMLError as error:
        raise FileProblems([*builder.problems, _syntax_problem(error, data, file)]) from None
    except yaml.YAMLError as error:
        raise FileProblems([_reader_problem(error, data, file)]) from None
    if builder.problems:
        raise FileProblems(builder.problems)
    return documents


def read_plain(path: Path) -> Any:
    """A file that a program wrote, of one document, with the types that YAML 1.1 gives its scalars.

    Raises OSError, and InputError where it is not UTF-8, not YAML or nested too deeply."""
    data = path.read_bytes()
    try:
        check_depth(data, str(path))
        return yaml.load(data.decode("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"not YAML: {error}", where=str(path)) from None


def scalar(text: str) -> Any:
    """What an unquoted scalar is."""
    if text in _TYPED:
        return _TYPED[text]
    if text[0] in "-0123456789" and _NUMBER.fullmatch(text):
        if "." in text:
            return Written(text)
        return text if text == "-0" else int(text)
    return text


class _Builder:
    """Makes plain data of nodes, within limits, and collects what can be collected of mistakes."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.left = MAX_VALUES

    def build(self, node: Node, depth: int) -> Any:
        self.left -= 1
        if self.left < 0:
            self.refuse(node, f"the file holds more than {MAX_VALUES:,} values, aliases expanded")
        tag = node.tag
        if type(node) is ScalarNode:
            value = cast("str", node.value)
            if tag == _PLAIN:
                return scalar(value)
            if tag not in _KNOWN_TAGS:
                self.complain(node, f"the tag {_short_tag(tag)} is not supported")
            return value
        if depth >= MAX_DEPTH:
            self.refuse(node, f"nested more than {MAX_DEPTH} levels deep, or an anchor that holds itself")
        if tag not in _KNOWN_TAGS:
            self.complain(node, f"the tag {_short_tag(tag)} is not supported")
        if type(node) is SequenceNode:
            return [self.build(item, depth + 1) for item in cast("list[Node]", node.value)]
        return self.mapping(node, depth)

    def mapping(self, node: Node, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merges: list[Node] = []
        for key, value in cast("list[tuple[Node, Node]]", node.value):
            if type(key) is not ScalarNode:
                self.complain(key, "a key must be plain text", hint=_key_hint(key))
                continue
            name = cast("str", key.value)
            if name == "<<" and key.tag == _PLAIN:
                if merges:
                    self.complain(key, "a second << in one mapping", hint="merge several as <<: [*one, *two]")
                merges.append(value)
                continue
            if name in data:
                first = next(k for k, _ in node.value if k.value == name).start_mark.line + 1
                self.complain(
                    key, f'the key "{shorten(name, 60)}" is given twice', hint=f"first in line {first}"
                )
            data[name] = self.build(value, depth + 1)
        for merged in merges:
            self.merge(data, merged, depth)
        return data

    def merge(self, data: dict[str, Any], node: Node, depth: int) -> None:
        """What a mapping says itself wins over what it merges, and of several the first."""
        sources = cast("list[Node]", node.value) if type(node) is SequenceNode else [node]
        for source in sources:
            if type(source) is not MappingNode:
                self.complain(source, "<< merges mappings only")
                continue
            for name, value in cast("dict[str, Any]", self.build(source, depth + 1)).items():
                data.setdefault(name, value)

    def complain(self, node: Node, message: str, *, hint: str | None = None) -> None:
        mark = node.start_mark
        problem = Problem(message, self.file, mark.line + 1, mark.column + 1, hint)
        if problem not in self.problems:  # an aliased mistake is still one
            self.problems.append(problem)
            if len(self.problems) == MOST_PROBLEMS:
                raise FileProblems(self.problems)

    def refuse(self, node: Node, message: str) -> None:
        self.complain(node, message)
        raise FileProblems(self.problems)


def _nodes(data: bytes) -> Iterator[Node]:
    composer = _Composer(data)
    try:
        while composer.check_node():
            yield composer.get_node()
    finally:
        composer.dispose()


def _child(node: Node, step: str | int) -> tuple[Node | None, Node] | None:
    if type(node) is SequenceNode:
        items = cast("list[Node]", node.value)
        return (None, items[step]) if isinstance(step, int) and 0 <= step < len(items) else None
    if type(node) is not MappingNode:
        return None
    pairs = cast("list[tuple[Node, Node]]", node.value)
    for key, value in pairs:
        if key.value == step:
            return key, value
    for key, value in pairs:
        if key.value == "<<":
            for source in cast("list[Node]", value.value) if type(value) is SequenceNode else [value]:
                found = _child(source, step)
                if found is not None:
                    return found
    return None


def _check_bytes(data: bytes, file: str) -> None:
    if len(data) > MAX_BYTES:
        raise FileProblems([Problem("the file is larger than 1 MiB", file, hint="split it")])
    at, message = data.find(b"\0"), "a NUL byte; this is not a text file"
    if at < 0:
        try:
            data.decode("utf-8")
            return
        except UnicodeDecodeError as error:
            at, message = error.start, "not UTF-8"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        message = "UTF-16 is not read"
    line, column = _line_and_column(data[:at].decode("utf-8", "replace"))
    raise FileProblems([Problem(message, file, line, column, hint="save the file as UTF-8")])


def check_depth(data: bytes, file: str) -> None:
    """Refuse nesting bombs before the composer recurses into them, which can end the process.

    A file can be no deeper than it has opening brackets and columns, which is cheap to see. Only one that
    could be too deep is parsed event by event, which needs no stack.

    Raises FileProblems where ``data`` is nested more than `MAX_DEPTH` levels deep, and what PyYAML raises
    of bytes that are not YAML for another reason."""
    longest = max(map(len, data.splitlines()), default=0)
    if data.count(b"[") + data.count(b"{") + 2 * longest <= _SAFE_DEPTH:
        return
    try:
        _check_events(data, file)
    except yaml.MarkedYAMLError as error:
        # The scanner reads ahead, so a limit of its own (PyYAML 6.0.4 has one) can come before the first
        # event. The part that it accepted tells whether ours is passed as well, whatever its words are.
        if error.problem_mark is not None:
            accepted = data.decode("utf-8", "replace")[: error.problem_mark.index].encode()
            with contextlib.suppress(yaml.YAMLError):
                _check_events(accepted, file)
        raise


def _check_events(data: bytes, file: str) -> None:
    depth = 0
    for event in cast("Iterator[yaml.Event]", yaml.parse(data, Loader=_Composer)):  # pyright: ignore[reportUnknownMemberType]
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark = event.start_mark
                message = f"nested more than {MAX_DEPTH} levels deep"
                raise FileProblems([Problem(message, file, mark.line + 1, mark.column + 1)])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


_SYNTAX_HINTS = (
    (r"\\t|tab", "YAML is indented with spaces, never with tabs"),
    (r"mapping values are not allowed", 'put a text that holds ": " in quotes'),
    (r"cannot start any token|alphabetic or numeric character", "put a text that starts so in quotes"),
    (
        r"expected <block end>|did not find expected",
        "see the indentation here, and brackets and quotes above",
    ),
    (r"undefined alias", "an anchor (&name) must stand above its alias (*name)"),
)


def _syntax_problem(error: yaml.MarkedYAMLError, data: bytes, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    told = error.problem or error.context or "not YAML"
    if mark is not None and _char_at(data, mark.line, mark.column) == "\t":
        told = "a tab where spaces belong"
    hint = next((hint for pattern, hint in _SYNTAX_HINTS if re.search(pattern, told)), None)
    message = f"not YAML: {told}" + (f", {error.context}" if error.context and error.problem else "")
    if mark is None:
        return Problem(message, file, hint=hint)
    return Problem(message, file, mark.line + 1, mark.column + 1, hint)


def _reader_problem(error: yaml.YAMLError, data: bytes, file: str) -> Problem:
    """A control character: the reader knows only its offset."""
    text = data.decode("utf-8")
    at = next((i for i, char in enumerate(text) if not _printable(char)), None)
    if at is None:
        return Problem(f"not YAML: {error}", file)
    line, column = _line_and_column(text[:at])
    return Problem(f"the control character U+{ord(text[at]):04X} is not allowed", file, line, column)


def _char_at(data: bytes, line: int, column: int) -> str:
    lines = data.decode("utf-8-sig").splitlines()
    return lines[line][column : column + 1] if line < len(lines) else ""


def _printable(char: str) -> bool:
    """YAML 1.1, section 5.1, c-printable."""
    code = ord(char)
    return (
        code in (0x09, 0x0A, 0x0D, 0x85)
        or 0x20 <= code <= 0x7E
        or 0xA0 <= code <= 0xD7FF
        or 0xE000 <= code <= 0xFFFD
        or 0x10000 <= code <= 0x10FFFF
    )


def _line_and_column(before: str) -> tuple[int, int]:
    lines = before.split("\n")
    return len(lines), len(lines[-1]) + 1


def _short_tag(tag: str) -> str:
    return shorten(tag.replace("tag:yaml.org,2002:", "!!"), 60)


def _key_hint(key: Node) -> str | None:
    if type(key) is MappingNode and len(key.value) == 1 and type(key.value[0][0]) is ScalarNode:
        return (
            f'a placeholder that starts a value needs quotes: "{{{{{shorten(key.value[0][0].value, 60)}}}}}"'
        )
    return None
