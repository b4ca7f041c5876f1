"""A cassette: the folder that holds what a conversation's model, tools and services answered.

::

    manifest.json    versions, seed, start clock, scenario, how it ended, and the hash of every other file
    http.json        vcrpy's v1 schema, one interaction a block, in the order in which requests began
    tools.jsonl      one tool call a line
    streams.jsonl    WebSockets and gRPC streams, an event a line
    frames.jsonl     voice, frame by frame
    blobs/<sha256>   large bodies and audio

`Cassette.load` reads it, or a plain vcrpy cassette (YAML or JSON). `Cassette.save` writes all or nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import orjson

from simulate.errors import InputError
from simulate.replay.cassette.folder import recover, replace_folder
from simulate.replay.cassette.interactions import interaction_of, set_key, tool_line
from simulate.replay.cassette.loading import SCHEMA, load_folder
from simulate.replay.cassette.stream_file import lines_of
from simulate.replay.cassette.vcr_file import load_vcr_file
from simulate.replay.matching import keys
from simulate.replay.matching.recordings import HttpRecording, StreamRecording, ToolRecording
from simulate.replay.matching.rules import Rules
from simulate.replay.matching.secrets import Redaction

_INDENT = orjson.OPT_INDENT_2


@dataclass(slots=True)
class Cassette:
    """All that was recorded of one conversation. `Cassette.load(folder)` reads one, `save(folder)` writes it,
    whole or not at all."""

    http: list[HttpRecording] = field(default_factory=list[HttpRecording])
    tools: list[ToolRecording] = field(default_factory=list[ToolRecording])
    frames: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    blobs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    conversation: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """What was said: ``speaker``, ``text``, ``turn``; for the recorded caller."""
    manifest: dict[str, Any] = field(default_factory=dict[str, Any])
    folder: Path | None = None
    streams: list[StreamRecording] = field(default_factory=list[StreamRecording])
    _left_out: set[str] = field(default_factory=set[str], repr=False, compare=False)
    """Paths that were ignored only since it was loaded."""

    def rules(self, rules: Rules) -> Rules:
        """The rules that a request is matched by: with what was ignored when this was recorded, and with the
        same personal data kept or replaced. What only the given ones ignore is taken out of the recordings,
        too, so that a request and its recording leave out the same."""
        if isinstance(rules.redact, Redaction):
            rules = replace(rules, redact=Redaction.recorded_with(self.manifest), _redacted={})
        recorded: list[str] = self.manifest.get("ignore") or []
        new = [path for path in rules.ignore if path not in recorded]
        together = tuple(dict.fromkeys((*recorded, *rules.ignore)))
        rules = rules if rules.ignore == together else replace(rules, ignore=together)
        if new:
            self.manifest = {**self.manifest, "ignore": [*recorded, *new]}
            self._left_out.update(new)
            for recording in self.http:
                if rules.leave_out(recording.body):
                    set_key(recording, rules)
        # what was recorded without it cannot show it
        rules.met.update(path for path in recorded if path not in self._left_out)
        return rules

    @property
    def match(self) -> Literal["http", "chat"]:
        """``chat``: made from a trace, so that messages are matched and not whole requests."""
        return cast("Literal['http', 'chat']", self.manifest.get("match", "http"))

    @property
    def complete(self) -> bool:
        """False when the run broke off while it was recorded."""
        return bool(self.manifest.get("complete", True))

    @property
    def scenario(self) -> str | None:
        """The scenario that it was recorded with."""
        return cast("str | None", self.manifest.get("scenario"))

    def __len__(self) -> int:
        return len(self.http) + len(self.tools) + len(self.streams)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        allow_edited: bool = False,
        allow_partial: bool = False,
        scenario: str | None = None,
        rules: Rules | None = None,
    ) -> Cassette:
        """Read a cassette folder, or a plain vcrpy file. InputError says what is wrong with it."""
        target = Path(path)
        recover(target)
        if target.is_file():
            # what vcrpy wrote in clear is read as it is
            hidden = Redaction(personal=False)
            http = load_vcr_file(target, replace(rules or Rules(), redact=hidden, _redacted={}))
            manifest = {"schema": SCHEMA, "from": "vcrpy", **hidden.manifest()}
            cassette = cls(http, folder=target.parent, manifest=manifest)
        elif not (target / "manifest.json").is_file():
            raise InputError("there is no cassette here", where=str(target), hint="record one first")
        else:
            read = load_folder(target, rules or Rules(), allow_edited=allow_edited)
            cassette = cls(
                read.http,
                read.tools,
                read.frames,
                conversation=read.conversation,
                manifest=read.manifest,
                folder=target,
                streams=read.streams,
            )
        if not cassette.complete and not allow_partial:
            ended = cassette.manifest.get("ended", "the run broke off")
            raise InputError(
                f"the cassette is partial: {ended}",
                where=str(target),
                hint="record it again, or replay the part that there is with --partial",
            )
        if scenario is not None and cassette.scenario not in {None, scenario}:
            raise InputError(
                f"the cassette was recorded with the scenario {cassette.scenario!r}, not {scenario!r}",
                where=str(target),
                hint="record this scenario, or name the right cassette",
            )
        return cassette

    def save(self, path: str | Path, *, scan: Callable[[str], list[str]] | None = None) -> Path:
        """Write the folder, all or nothing; returns where. A partial cassette goes beside, to ``….partial``,
        so that it never takes the place of a complete one.

        ``scan`` names the secrets in a text; where it finds one, nothing is written (InputError)."""
        target = Path(path)
        if not self.complete:
            target = target.with_name(target.name + ".partial")
        files = self.files()
        if scan is not None:
            _refuse_secrets(files, scan, target)
        replace_folder(target, files)
        self.folder = target
        return target

    def files(self) -> dict[str, bytes]:
        """The cassette's files by name, as they would be written."""
        blobs = dict(self.blobs)
        files: dict[str, bytes] = {}
        interactions = [interaction_of(recording, blobs) for recording in self.http]
        if interactions:
            files["http.json"] = (
                orjson.dumps({"version": 1, "interactions": interactions}, option=_INDENT) + b"\n"
            )
        if self.tools:
            files["tools.jsonl"] = b"".join(orjson.dumps(tool_line(tool)) + b"\n" for tool in self.tools)
        if self.streams:
            files["streams.jsonl"] = b"".join(lines_of(stream, blobs) for stream in self.streams)
        if self.frames:
            files["frames.jsonl"] = b"".join(orjson.dumps(frame) + b"\n" for frame in self.frames)
        if self.conversation:
            files["conversation.jsonl"] = b"".join(orjson.dumps(said) + b"\n" for said in self.conversation)
        for name, content in blobs.items():
            files[f"blobs/{name}"] = content
        manifest = {
            "schema": SCHEMA,
            "key_version": keys.VERSION,
            "complete": True,
            **{
                name: value
                for name, value in self.manifest.items()
                if name not in {"schema", "key_version", "files"}
            },
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        }
        files["manifest.json"] = orjson.dumps(manifest, option=_INDENT) + b"\n"
        return files


def _refuse_secrets(files: dict[str, bytes], scan: Callable[[str], list[str]], target: Path) -> None:
    found: list[str] = []
    for name, content in files.items():
        if name == "manifest.json":
            continue
        for number_, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if len(line) < 8:
                continue
            found += [f"{name}:{number_}: {what}" for what in scan(line)]
            if len(found) > 20:
                break
    if found:
        raise InputError(
            "the cassette holds what looks like a secret, so it was not written:\n  "
            + "\n  ".join(found[:20]),
            where=str(target),
            hint="let it be redacted, or keep it out of what the agent sends",
        )
