"""An agent on the command line: ``exec:command``.

A command with a placeholder is started for each turn, and what it prints is the answer; any other is started
for the conversation, and answers each line on stdin with one on stdout, or with several up to ``done``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
import stat
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from simulate import determinism
from simulate.child_process import KILL, end_group, launched
from simulate.conversation.agents.adapter import (
    AgentEvent,
    AgentMessage,
    Call,
    Connected,
    EndpointOptions,
    HungUp,
    within,
)
from simulate.conversation.agents.process import command_line
from simulate.conversation.agents.template_state import StreamedAnswer, TemplateState, whole_answer
from simulate.errors import AgentFault, EnvironmentFault, Fault
from simulate.model.agent_address import target_of
from simulate.model.outage import MODEL_LIBRARIES, outage
from simulate.model.request_template import (
    RequestTemplate,
    UnknownPlaceholder,
    filled,
    filled_text,
    placeholders,
)

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = termios = None

_SHELLS = {"sh", "bash", "dash", "zsh", "env"}
_LOOK = 0.002
"""Seconds between two looks at whether a program has read its line."""
_LONGEST_LINE = 16 * 2**20
_LONGEST_ANSWER = 64 * 2**20
_TAIL = 950
"""Bytes of what it printed to stderr that an outcome holds."""
_ENDS_WITHIN = 5.0
"""Seconds that a program has to end, once its stdin is closed and it was asked to."""


class ProgramAdapter:
    """Starts a program, in a process group of its own, for each turn or each conversation."""

    def __init__(self, address: str, options: EndpointOptions) -> None:
        self.address, self.options = address, options
        self.template = options.request or RequestTemplate()
        self.words = command_line(target_of(address), address)
        named = set(placeholders(self.words))
        self.each_turn = self.template.process == "turn" or (self.template.process is None and bool(named))
        self.speaks_first = not self.each_turn

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[ProgramSession, None]:
        """One conversation; what still runs at its end is ended."""
        session = ProgramSession(self, call)
        try:
            yield session
        finally:
            await session.close()


class ProgramSession:
    """One conversation with a program."""

    def __init__(self, adapter: ProgramAdapter, call: Call) -> None:
        self.adapter, self.call = adapter, call
        self.state = TemplateState(adapter.template, call)
        self._program: _Program | None = None

    async def send(self, message: str | None) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer; ``None`` reads what a program says by itself."""
        if message is None and (self.state.messages or self.adapter.each_turn):
            return
        if message is not None:
            self.state.messages.append({"role": "user", "content": message})
        events = self._one_turn() if self.adapter.each_turn else self._next_lines(message)
        async for event in within(events, self.call.reply_timeout, self.adapter.address):
            if isinstance(event, AgentMessage):
                self.state.messages.append({"role": "assistant", "content": event.text})
            yield event

    async def close(self) -> None:
        """End what still runs."""
        program, self._program = self._program, None
        if program is not None:
            await program.stop()

    async def _one_turn(self) -> AsyncIterator[AgentEvent]:
        values = self.state.values()
        words = _words(self.adapter.words, values)
        program = self._program = await self._start(words)
        named = {"message", "messages"} & set(placeholders(self.adapter.words))
        await program.write("" if named and self.adapter.template.body is None else self._input(), close=True)
        async for event in self._answer_of(program):
            if (at := program.heard_at()) is not None:
                yield Connected(at)
            yield event

    async def _answer_of(self, program: _Program) -> AsyncIterator[AgentEvent]:
        template, address = self.adapter.template, self.adapter.address
        if template.stream is not None:
            answer = StreamedAnswer(self.state, address, to_the_end=True)
            while not answer.ended and (line := await program.line()) is not None:
                for event in answer.take(line) if line.strip() else ():
                    yield event
            await program.succeeded()
            for event in answer.end():
                yield event
            return
        text = await program.output()
        await program.succeeded()
        if not text.strip():
            raise program.fault("printed no answer")
        for event in whole_answer(text.strip(), self.state, address, as_json=False):
            yield event

    async def _next_lines(self, message: str | None) -> AsyncIterator[AgentEvent]:
        program = self._program = self._program or await self._start(
            _words(self.adapter.words, self.state.values())
        )
        if message is not None:
            # one line is one message: line ends inside it are what JSON is for
            await program.write(" ".join(self._input().splitlines()) + "\n")
        answer = StreamedAnswer(self.state, self.adapter.address)
        while not answer.ended:
            line = await program.line()
            if line is None:
                await program.succeeded()
                yield HungUp("its program ended")
                return
            if message is not None and (at := program.heard_at()) is not None:
                yield Connected(at)
            for event in answer.take(line) if line.strip() else ():
                yield event
        for event in answer.end():
            yield event

    def _input(self) -> str:
        body = self.adapter.template.body
        values = self.state.values()
        made: Any = values["message"] if body is None else filled(body, values)
        return made if isinstance(made, str) else json.dumps(made, ensure_ascii=False)

    async def _start(self, words: list[str]) -> _Program:
        headers: Mapping[str, str] = self.call.headers if self.adapter.each_turn else {}
        of_turn = {name.upper(): value for name, value in headers.items()}
        root = self.adapter.options.root
        try:
            process = await asyncio.create_subprocess_exec(
                *launched(words, self.call.environment, root),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=root,
                env={**os.environ, **self.call.environment, **of_turn},
                start_new_session=True,
                limit=_LONGEST_LINE,
            )
        except OSError as error:
            raise EnvironmentFault(f"cannot start {shlex.join(words)}: {error.strerror}") from error
        return _Program(process, self.adapter.address, shell=Path(words[0]).name in _SHELLS)


class _Program:
    """One running process of the agent."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, *, shell: bool) -> None:
        self._process, self.address, self._shell = process, address, shell
        self._stderr = bytearray()
        self._reads = asyncio.create_task(self._read_stderr())
        self._hears: asyncio.Task[None] | None = None
        self._heard_at: float | None = determinism.current().clock.monotonic()

    async def write(self, text: str, *, close: bool = False) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        # a program that ends without reading is told by how it ends
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(text.encode())
            await stdin.drain()
        if text and self._hears is None:
            self._hears = asyncio.create_task(self._until_heard(stdin, close=close))
        elif close:
            stdin.close()

    async def _until_heard(self, stdin: asyncio.StreamWriter, *, close: bool) -> None:
        """Until it reads its first line: what its start and its imports take is not its time to answer."""
        while self._process.returncode is None and _unread(stdin):
            # its answer may come before the next look
            self._heard(determinism.current().clock.monotonic())
            await asyncio.sleep(_LOOK)
        self._heard(determinism.current().clock.monotonic())
        if close:
            stdin.close()

    def _heard(self, at: float) -> None:
        if self._heard_at is not None:  # else it was told
            self._heard_at = at

    def heard_at(self) -> float | None:
        """When it was there to hear its first line, told once."""
        at, self._heard_at = self._heard_at, None
        return at

    async def line(self) -> str | None:
        """The next line that it prints; None at the end."""
        assert self._process.stdout is not None
        try:
            line = await self._process.stdout.readline()
        except ValueError as error:
            raise self.fault(f"printed a line of more than {_LONGEST_LINE} bytes") from error
        return line.decode(errors="replace").rstrip("\r\n") if line else None

    async def output(self) -> str:
        """All that it prints."""
        assert self._process.stdout is not None
        printed = bytearray()
        while chunk := await self._process.stdout.read(1 << 16):
            printed += chunk
            if len(printed) > _LONGEST_ANSWER:
                raise self.fault(f"printed more than {_LONGEST_ANSWER >> 20} MB")
        return printed.decode(errors="replace")

    async def succeeded(self) -> None:
        """Wait for its end; raises the Fault of an exit code that is not 0."""
        code = await self._process.wait()
        await self._reads
        if code:
            raise self._ended(code)

    def _ended(self, code: int) -> Fault:
        if code < 0:
            return self.fault(f"was ended by {signal.Signals(-code).name}")
        last = (self._told().splitlines() or [""])[-1]
        named = any(name in self._told() for name in MODEL_LIBRARIES) or "api" in last.lower()
        why = outage(last) if named else None
        if why is not None:
            return EnvironmentFault(
                f"{self.address} ended with code {code}: its model {why}", proof=self._told()
            )
        if code in (126, 127) and self._shell:
            return EnvironmentFault(f"{self.address} names no program that runs", proof=self._told() or None)
        return self.fault(f"ended with code {code}")

    def _told(self) -> str:
        return self._stderr.decode(errors="replace").strip()

    def fault(self, what: str) -> AgentFault:
        return AgentFault(f"{self.address} {what}", proof=self._told() or None)

    async def stop(self) -> None:
        """End its whole group: politely, then by force."""
        process = self._process
        if self._hears is not None:
            self._hears.cancel()
        if process.stdin is not None:
            process.stdin.close()
        await end_group(process, ((signal.SIGTERM, _ENDS_WITHIN), (KILL, _ENDS_WITHIN)))
        for task in filter(None, (self._reads, self._hears)):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(4096):
            self._stderr += chunk
            del self._stderr[:-_TAIL]


def _unread(stdin: asyncio.StreamWriter) -> bool:
    """Whether a program has yet to read what was written to it; False where the system does not tell."""
    if stdin.transport.get_write_buffer_size():
        return True
    file: Any = stdin.get_extra_info("pipe")
    if fcntl is None or termios is None or file is None or file.closed:
        return False
    with contextlib.suppress(OSError):
        # asyncio connects a socket or a pipe, by its version
        asked = termios.TIOCOUTQ if stat.S_ISSOCK(os.fstat(file.fileno()).st_mode) else termios.FIONREAD
        return bool(int.from_bytes(fcntl.ioctl(file.fileno(), asked, bytes(4)), sys.byteorder))
    return False


def _words(words: list[str], values: Mapping[str, Any]) -> list[str]:
    """A command with its placeholders filled in. A word whose value is not known yet is left out, and with it
    the option that it belongs to: ``--resume {{session}}``."""
    texts = {
        name: value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
    }
    made: list[str] = []
    for word in words:
        try:
            made.append(filled_text(word, texts))
        except UnknownPlaceholder:
            if word.strip().startswith("{{") and made and made[-1].startswith("-"):
                made.pop()
    return made
