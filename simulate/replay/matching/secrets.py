"""Secrets and personal data on their way into a cassette: replaced before hashing, looked for at the end.

A secret becomes ``<secret:3f2a>``. Personal data becomes a pseudonym of its own form, which a replayed agent
can work with; what the scenario itself states is invented, and stays. A cassette's manifest says what stayed
and what is a pseudonym already, so that a replay replaces the same and nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from pydantic import BaseModel

from simulate.model.shapes import is_object
from simulate.trace.redaction.edits import Edit
from simulate.trace.redaction.findings import Finding
from simulate.trace.redaction.pseudonyms import normal, pseudonym
from simulate.trace.redaction.redact import Redactor
from simulate.trace.redaction.rules import RULES

_KEY = "simulate cassette"
"""Fixed, so that a value gets the same pseudonym when it is recorded and when it is replayed."""

_PLACEHOLDER = re.compile(r"<[a-z_]+:[0-9a-f]{4,32}>")
_KINDS = frozenset(rule.kind for rule in RULES)


class _Pseudonyms(Redactor):
    """Puts pseudonyms in place of personal data, but for what is ``invented`` or one already."""

    def __init__(self, kinds: frozenset[str]) -> None:
        super().__init__(key=_KEY, kinds=kinds)
        self.invented: set[tuple[str, str]] = set()
        self.met: dict[str, None] = {}
        """What of it was met, and stayed."""
        self.known: dict[tuple[str, str], str] = {}

    def find(self, text: str) -> list[Finding]:
        return [
            each for each in super().find(text) if not self._stays(each.kind, text[each.start : each.end])
        ]

    def _stays(self, kind: str, text: str) -> bool:
        if kind == "secret":
            return False
        value = kind, normal(kind, text)
        if value in self.invented:
            self.met[text] = None
            return True
        return value in self.known

    def placeholder(self, kind: str, value: str) -> str:
        made = pseudonym(kind, value, _KEY.encode())
        if made is None:
            return super().placeholder(kind, value)
        self.known.setdefault((kind, normal(kind, made)), made)
        return made


class Redaction:
    """Replaces secrets, and personal data unless ``personal`` is false. What personal data the texts in
    ``invented`` hold stays.

    One for each conversation: the digits of a placeholder must not depend on what other ones said."""

    def __init__(self, *, personal: bool = True, invented: Iterable[str] = ()) -> None:
        self.personal = personal
        self._redactor: Redactor = _Pseudonyms(_KINDS if personal else frozenset({"secret"}))
        self.keep(invented)

    def __call__(self, text: str) -> str:
        return self._redactor.text(text)

    def edits(self, text: str) -> list[Edit]:
        """What is replaced in a text, and where."""
        return self._redactor.edits(text)

    def under(self, name: str, value: Any) -> Any:
        """A JSON value that stands under the name of a secret."""
        return self._redactor.under(name, value)

    def keep(self, texts: Iterable[str]) -> None:
        """The personal data in these texts is invented."""
        if isinstance(self._redactor, _Pseudonyms):
            self._redactor.invented.update(_values(texts))

    @property
    def kept_values(self) -> list[tuple[str, str]]:
        """The personal data that stays, as ``keep`` found it: its kind and its normal form."""
        return sorted(self._redactor.invented) if isinstance(self._redactor, _Pseudonyms) else []

    def keep_values(self, values: Iterable[tuple[str, str]]) -> None:
        """What another one keeps stays here, too."""
        if isinstance(self._redactor, _Pseudonyms):
            self._redactor.invented.update(values)

    def manifest(self) -> dict[str, Any]:
        """What a replay has to know: see `recorded_with`."""
        if not isinstance(self._redactor, _Pseudonyms):
            return {}
        if not self.personal:
            return {"personal": {"replaced": False}}
        kept = {"invented": [*self._redactor.met], "pseudonyms": [*self._redactor.known.values()]}
        return {"personal": {"replaced": True, **{name: texts for name, texts in kept.items() if texts}}}

    @classmethod
    def recorded_with(cls, manifest: Mapping[str, Any]) -> Redaction:
        """The redaction of the cassette with this manifest. Before there were pseudonyms, there were
        placeholders: ``<email:3f2a>``."""
        found = manifest.get("personal")
        if not is_object(found):
            made = cls()
            made._redactor = Redactor(key=_KEY)
            return made
        told = found
        made = cls(personal=bool(told.get("replaced", True)), invented=told.get("invented", ()))
        if isinstance(made._redactor, _Pseudonyms):
            pseudonyms = cast("list[str]", told.get("pseudonyms") or [])
            made._redactor.known.update({value: text for text in pseudonyms for value in _values([text])})
        return made

    def clean(self, texts: Iterable[str]) -> bool:
        """Whether nothing in any of these is to be replaced; one look instead of one for each."""
        # what is JSON itself is gone through by its keys, so it is looked at by itself
        if any(text[:1] in {"{", "[", '"'} for text in texts):
            return False
        return self._redactor.clean(texts)


def _values(texts: Iterable[str]) -> set[tuple[str, str]]:
    finder = Redactor(key=_KEY)
    return {
        (each.kind, normal(each.kind, text[each.start : each.end]))
        for text in texts
        for each in finder.find(text)
        if each.kind != "secret"
    }


def texts_of(value: Any) -> list[str]:
    """Every text in a value: of models, objects and lists, keys too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, BaseModel):
        return texts_of(dict(value))
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value).items()
        return [text for pair in members for each in pair for text in texts_of(each)]
    if isinstance(value, list | tuple | set):
        return [text for each in cast("list[Any]", value) for text in texts_of(each)]
    return []


def scanner() -> Callable[[str], list[str]]:
    """Names what looks like a secret in a text, without repeating it. Personal data alone is not a reason."""
    redact = Redactor(key=_KEY)

    def scan(text: str) -> list[str]:
        text = _PLACEHOLDER.sub("", text)
        return [
            f"a secret that begins with {text[found.start : found.start + 4]!r}"
            for found in redact.find(text)
            if found.kind == "secret"
        ]

    return scan
