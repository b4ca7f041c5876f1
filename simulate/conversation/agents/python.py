"""An agent that is a Python callable in this process.

Three shapes fit, each sync or async::

    async def agent(message: str) -> str                       # the last thing the caller said
    async def agent(messages: list[dict]) -> str | dict        # the whole history, in OpenAI's message shape
    async def agent(message: str, conversation: str) -> str    # each of these may ask for the conversation
    class Agent:                                               # or a factory; one instance a conversation
        def start(self, conversation: str) -> str | None       # optional; a text is said first
        async def reply(self, message: str) -> str

Each may also give an (async) iterator of text, which is one streamed message, or a list, which is several
messages. A dict is a message with ``content``; ``{"content": …, "hang_up": true}`` ends the conversation.
``conversation`` is its id, as a `ConversationStart`, which tells who calls, too. What ``start`` returns is
said where the scenario lets the agent speak first.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import threading
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from simulate.conversation.agents.adapter import AgentEvent, AgentMessage, Call, Delta, HungUp, within
from simulate.conversation.agents.user_content import chat_content
from simulate.conversation.blocking import Blocked
from simulate.conversation.delays import thread_ends
from simulate.errors import AddressError, AgentFault, EnvironmentFault, Fault, SimulateError
from simulate.load_object import own_traceback
from simulate.model.attachment import Attachment
from simulate.model.outage import model_failure
from simulate.model.shapes import is_object
from simulate.user_code import meant_for_us

Shape = Literal["message", "messages", "object"]
FITTING = """an agent is one of
  async def agent(message: str) -> str
  async def agent(messages: list[dict]) -> str | dict | AsyncIterator[str]
  each of them may have a second parameter named conversation
  a class, or a function without arguments that makes one, with reply(message) and, if wanted,
  start(conversation)"""
_TEXT_NAMES = {"message", "text", "prompt", "input", "user_input", "query", "utterance", "user_message"}
_LIST_NAMES = {"messages", "history", "conversation"}


class PythonAdapter:
    """Connects to a callable. ``address`` is for reports."""

    def __init__(self, agent: Any, address: str | None = None) -> None:
        self.agent = agent
        self.address = address or f"python:{_described(agent)}"
        self.shape = shape_of(agent, self.address)
        self.asks_who = (
            self.shape != "object" and "conversation" in list(_parameters(agent, self.address))[1:]
        )
        """Whether it wants to know who calls, beside what is said."""

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[PythonSession, None]:
        """One conversation; an object with ``close`` is closed at its end."""
        session = PythonSession(self, call)
        try:
            yield session
        finally:
            await session.close()


class PythonSession:
    """One conversation with a callable."""

    def __init__(self, adapter: PythonAdapter, call: Call) -> None:
        self.adapter = adapter
        self.call = call
        self.history: list[dict[str, Any]] = [dict(message) for message in call.history]
        """For an agent that takes it; the others remember by themselves."""
        self.spoken = False
        self.instance: Any = None

    async def send(
        self, message: str | None, attachments: Sequence[Attachment] = ()
    ) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer, cut off after the call's ``reply_timeout``. Attachments are for
        an agent that is given all messages."""
        said: list[str] = []
        async for event in within(self._events(message, attachments), self.call.reply_timeout, "the agent"):
            if isinstance(event, AgentMessage):
                said.append(event.text)
            yield event
        self.spoken = True
        if self.adapter.shape == "messages":
            self.history += [{"role": "assistant", "content": text} for text in said]

    async def _events(
        self, message: str | None, attachments: Sequence[Attachment]
    ) -> AsyncIterator[AgentEvent]:
        try:
            answer = await self._ask(message, attachments)
            async for event in _as_events(answer):
                yield event
        except (SimulateError, Blocked):
            raise
        except BaseException as error:
            if meant_for_us(error):
                raise
            raise _broke("the agent", error) from error

    async def _ask(self, message: str | None, attachments: Sequence[Attachment]) -> Any:
        shape = self.adapter.shape
        if shape == "object":
            if self.instance is None:
                self.instance = await _call(self.adapter.agent)
                _check_instance(self.instance, self.adapter.address)
                start = getattr(self.instance, "start", None)
                greeting = await _call(start, self.call.conversation_id) if start else None
                if message is None:
                    return [] if greeting is None else greeting
            return [] if message is None else await _call(self.instance.reply, message)
        if message is None and shape == "message":
            if self.spoken:
                return []
            raise AgentFault(
                "this agent takes one message and gives one answer, so it cannot speak first",
                hint="let the caller open, or use a class whose start() gives the greeting",
            )
        who = (self.call.conversation_id,) if self.adapter.asks_who else ()
        if shape == "message":
            return await _call(self.adapter.agent, message, *who)
        if message is not None:
            self.history.append({"role": "user", "content": chat_content(message, attachments)})
        elif self.spoken or len(self.history) > len(self.call.history):
            return []  # asked again with nothing new it would only repeat itself
        return await _call(self.adapter.agent, [dict(entry) for entry in self.history], *who)

    async def close(self) -> None:
        """Close the agent's own instance; an agent that hangs here is left behind, not waited for."""
        close = getattr(self.instance, "aclose", None) or getattr(self.instance, "close", None)
        if close is None:
            return
        try:
            async with asyncio.timeout(5):
                await _call(close)
        except TimeoutError as error:
            raise AgentFault("the agent's close() did not end within 5 s") from error
        except BaseException as error:
            if meant_for_us(error):
                raise
            raise _broke("the agent's close()", error) from error


def shape_of(agent: Any, address: str) -> Shape:
    """Which of the three shapes a callable has, read from its signature; refused if none fits."""
    if inspect.isclass(agent):
        if hasattr(agent, "reply"):
            return "object"
        raise AddressError(f"{address}: the class {agent.__name__} has no method `reply`", hint=FITTING)
    if not callable(agent):
        if hasattr(agent, "reply"):
            raise AddressError(
                f"{address}: is one object, which all conversations would share",
                hint="give the class, or a function that makes one for each conversation",
            )
        raise AddressError(f"{address}: is of type {type(agent).__name__}, not a callable", hint=FITTING)
    needed = _required(agent, address)
    if not needed:
        return "object"
    if len(needed) > 1 and not (len(needed) == 2 and needed[1].name == "conversation"):
        names = ", ".join(parameter.name for parameter in needed)
        raise AddressError(f"{address}: needs {len(needed)} arguments ({names})", hint=FITTING)
    return _shape_of_parameter(agent, needed[0], address)


def _required(agent: Callable[..., Any], address: str) -> list[inspect.Parameter]:
    parameters = _parameters(agent, address).values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [each for each in parameters if each.default is each.empty and each.kind in positional]
    keyword = [each for each in parameters if each.default is each.empty and each.kind is each.KEYWORD_ONLY]
    if keyword:
        raise AddressError(f"{address}: needs the keyword argument `{keyword[0].name}`", hint=FITTING)
    return needed


def _parameters(agent: Callable[..., Any], address: str) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(agent).parameters
    except (TypeError, ValueError) as error:
        raise AddressError(f"{address}: its signature cannot be read ({error})", hint=FITTING) from None


def _shape_of_parameter(agent: Callable[..., Any], parameter: inspect.Parameter, address: str) -> Shape:
    try:
        # a callable object's annotations are those of its __call__
        hinted = agent if inspect.isroutine(agent) else agent.__call__
        annotation = typing.get_type_hints(hinted).get(parameter.name, parameter.annotation)
    except (NameError, TypeError):
        annotation = parameter.annotation
    origin = typing.get_origin(annotation) or annotation
    if origin is str:
        return "message"
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return "messages"
    if annotation in (parameter.empty, Any):
        if parameter.name in _LIST_NAMES:
            return "messages"
        if parameter.name in _TEXT_NAMES:
            return "message"
    raise AddressError(
        f"{address}: cannot tell whether `{parameter.name}` is one message or the list of all", hint=FITTING
    )


async def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call something sync or async; what blocks runs in a thread, so that other conversations go on."""
    target = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    if inspect.isclass(function) or inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target):
        result = function(*arguments)
    elif inspect.isgeneratorfunction(target):
        return function(*arguments)
    else:
        result = await in_thread(functools.partial(function, *arguments))
    return await result if inspect.isawaitable(result) else result


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run something that blocks, with the context of this conversation.

    A daemon thread of its own: an executor's threads would be waited for at exit, and an agent that hangs
    must not keep the process alive.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def work() -> None:
        result, problem = None, None
        try:
            result = context.run(function)
        except (StopIteration, KeyboardInterrupt) as error:
            # neither may pass through a future: the one would end a loop, the other the whole run
            problem = RuntimeError(f"{type(error).__name__}: {error}").with_traceback(error.__traceback__)
        except BaseException as error:  # noqa: BLE001 - carried over to the loop as it is
            problem = error
        thread_ends()
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=work, name="simulate-agent", daemon=True).start()
    return await done


async def _as_events(answer: Any) -> AsyncIterator[AgentEvent]:
    if isinstance(answer, str):
        yield AgentMessage(answer)
    elif is_object(answer):
        for event in _dict_events(answer):
            yield event
    elif isinstance(answer, (list, tuple)):
        for part in cast("Sequence[Any]", answer):
            async for event in _as_events(part):
                yield event
    elif hasattr(answer, "__aiter__") or hasattr(answer, "__next__"):
        pieces: list[str] = []
        async for piece in _pieces(answer):
            if not isinstance(piece, str):
                raise _wrong_type(piece, "a stream of text")
            pieces.append(piece)
            yield Delta(piece)
        yield AgentMessage("".join(pieces))
    else:
        raise _wrong_type(answer, "an answer")


async def _pieces(answer: Any) -> AsyncIterator[Any]:
    if hasattr(answer, "__aiter__"):
        async for piece in answer:
            yield piece
        return
    end = object()
    iterator = cast("Iterator[Any]", answer)
    while (piece := await in_thread(lambda: next(iterator, end))) is not end:
        yield piece


def _dict_events(message: dict[str, Any]) -> Iterator[AgentEvent]:
    content = message.get("content")
    hangs_up = bool(message.get("hang_up"))
    if isinstance(content, str):
        yield AgentMessage(content)
    elif not hangs_up:
        raise _wrong_type(message, "a dict without text under `content`")
    if hangs_up:
        yield HungUp(message.get("reason"))


def _wrong_type(value: Any, what: str) -> Fault:
    return AgentFault(
        f"the agent gave {what} of type {type(value).__name__}: {repr(value)[:200]}",
        hint="an answer is a str, a dict with `content`, an iterator of str, or a list of these",
    )


def _check_instance(instance: Any, address: str) -> None:
    if not callable(getattr(instance, "reply", None)):
        raise AgentFault(
            f"{address}: made a {type(instance).__name__}, which has no method `reply`", hint=FITTING
        )


def _broke(who: str, error: BaseException) -> AgentFault | EnvironmentFault:
    told = f"{who} raised {type(error).__name__}: {error}".rstrip(": ")
    if (why := model_failure(error)) is not None:
        return EnvironmentFault(f"the agent's own model {why}; {told}", proof=own_traceback(error))
    return AgentFault(told, proof=own_traceback(error))


def _described(agent: Any) -> str:
    name = getattr(agent, "__qualname__", type(agent).__name__)
    return f"{getattr(agent, '__module__', '?')}:{name}"
