"""What two requests may differ in and still be the same, and what is hidden in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulate.model.json_path import parse_path, remove_path
from simulate.model.secret_names import is_secret_name, is_secret_parameter
from simulate.model.shapes import is_list, is_object
from simulate.replay.matching.secrets import Redaction
from simulate.trace.redaction.edits import Edit


@dataclass(frozen=True)
class Rules:
    """What a request's key leaves out, beyond what never means anything.

    Always left out: hosts of model providers, headers other than ``headers``, JSON-RPC ids, trace context in
    ``params._meta``, multipart boundaries, the order of JSON keys and of query parameters. ``ignore`` holds
    JSON paths: ``$.metadata.request_id``, ``$.messages[*].name``, ``$..trace_id``. ``redact`` puts stable
    typed placeholders in place of what must not be stored; it runs before hashing, in recording and replay
    alike. ``aliases`` names a host that is the same service under several names.
    """

    ignore: tuple[str, ...] = ()
    headers: tuple[str, ...] = ("anthropic-beta", "openai-beta", "x-amz-target")
    redact: Callable[[str], str] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    met: set[str] = field(default_factory=set[str], repr=False, compare=False)
    """Paths of ``ignore`` that something was at."""
    _redacted: dict[str, str] = field(default_factory=dict[str, str], repr=False, compare=False)

    def __post_init__(self) -> None:
        for path in self.ignore:
            parse_path(path)

    def leave_out(self, body: Any) -> bool:
        """Delete what is to be ignored from a JSON body, in place; False where there is nothing of it."""
        met = {path for path in self.ignore if remove_path(body, parse_path(path))}
        self.met.update(met)
        return bool(met)

    def unmet(self) -> list[str]:
        """What is to be ignored and nothing was at."""
        unmet = ", ".join(path for path in self.ignore if path not in self.met)
        return [f"nothing to ignore at {unmet}: no request has it"] if unmet else []

    def text(self, value: str) -> str:
        """The text with placeholders; remembered, since a conversation repeats its history in every call."""
        if self.redact is None:
            return value
        found = self._redacted.get(value)
        if found is None:
            if len(self._redacted) > 20_000:
                self._redacted.clear()
            found = self._redacted[value] = self.redact(value)
        return found

    def edits(self, text: str) -> list[Edit]:
        """What is replaced in a text, and where."""
        if isinstance(self.redact, Redaction):
            return self.redact.edits(text)
        new = self.text(text)
        if new == text:
            return []
        shorter = min(len(text), len(new))
        head = next((at for at in range(shorter) if text[at] != new[at]), shorter)
        most = shorter - head
        tail = next((at for at in range(most) if text[-1 - at] != new[-1 - at]), most)
        return [Edit(head, len(text) - tail, new[head : len(new) - tail])]

    def value(self, value: Any) -> Any:
        """Every text inside a JSON value with placeholders; the value itself where there is nothing to do."""
        if self.redact is None:
            return value
        unseen: list[str] = []
        if (
            isinstance(self.redact, Redaction)
            and self._is_clean(value, unseen)
            and (not unseen or self.redact.clean(unseen))
        ):
            self._redacted.update(zip(unseen, unseen, strict=True))
            return value
        return self._replaced(value)

    def _is_clean(self, value: Any, unseen: list[str]) -> bool:
        """False where something is known to be replaced; ``unseen`` gets the texts that are new."""
        if isinstance(value, str):
            known = self._redacted.get(value)
            if known is None:
                unseen.append(value)
            return known is None or known == value
        if is_object(value):
            for name, inner in value.items():
                if (inner is not None and is_secret_name(name)) or not self._is_clean(inner, unseen):
                    return False
        elif is_list(value):
            for inner in value:
                if not self._is_clean(inner, unseen):
                    return False
        return True

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if is_object(value):
            members = value.items()
            return {name: self.named(name, inner) for name, inner in members}
        if is_list(value):
            return [self._replaced(inner) for inner in value]
        return value

    def named(self, name: str, value: Any) -> Any:
        """A JSON value by the name that it stands under."""
        if isinstance(self.redact, Redaction) and is_secret_name(name):
            return self.redact.under(name, value)
        return self._replaced(value)

    def parameter(self, name: str, text: str) -> str:
        """A header or a parameter of a URL."""
        if isinstance(self.redact, Redaction) and is_secret_parameter(name):
            return self.redact.under("secret", text)
        return self.text(text)


def default_rules(**given: Any) -> Rules:
    """Rules that put placeholders in place of secrets, as `simulate.trace.redaction.redact` knows them;
    ``given`` are fields of `Rules`."""
    given.setdefault("redact", Redaction())
    return Rules(**given)
