"""gRPC, blocking and asyncio: unary calls and streams, recorded, and replayed without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue

from simulate.replay import Cassette, record, replaying


class Service(grpc.GenericRpcHandler):
    """Says what it is told, in all four shapes of a call."""

    def __init__(self) -> None:
        self.calls = 0

    def service(self, handler_call_details: Any) -> Any:
        made: Any = {
            "Ask": (grpc.unary_unary_rpc_method_handler, self.ask),
            "List": (grpc.unary_stream_rpc_method_handler, self.list),
            "Count": (grpc.stream_unary_rpc_method_handler, self.count),
            "Talk": (grpc.stream_stream_rpc_method_handler, self.talk),
        }
        handler, function = made[handler_call_details.method.rsplit("/", 1)[1]]
        return handler(function, StringValue.FromString, Struct.SerializeToString)

    def _told(self, **fields: Any) -> Struct:
        made = Struct()
        made.update(fields)
        return made

    def ask(self, request: StringValue, context: grpc.ServicerContext) -> Struct:
        self.calls += 1
        if request.value == "secret":
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "not for you")
        context.set_trailing_metadata((("x-cost", "3"),))
        return self._told(said=request.value, number=self.calls)

    def list(self, request: StringValue, context: grpc.ServicerContext) -> Iterator[Struct]:
        self.calls += 1
        for word in request.value.split():
            yield self._told(word=word)

    def count(self, requests: Iterator[StringValue], context: grpc.ServicerContext) -> Struct:
        self.calls += 1
        return self._told(count=len(list(requests)))

    def talk(self, requests: Iterator[StringValue], context: grpc.ServicerContext) -> Iterator[Struct]:
        self.calls += 1
        for request in requests:
            yield self._told(heard=request.value)


@pytest.fixture
def service() -> Iterator[tuple[Service, str]]:
    one = Service()
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((one,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield one, f"127.0.0.1:{port}"
        server.stop(0).wait()


def _stubs(channel: Any) -> Any:
    forms = {"Ask": "unary_unary", "List": "unary_stream", "Count": "stream_unary", "Talk": "stream_stream"}
    return {
        name: getattr(channel, form)(f"/demo.Desk/{name}", StringValue.SerializeToString, Struct.FromString)
        for name, form in forms.items()
    }


def _said(*texts: str) -> Iterator[StringValue]:
    return iter([StringValue(value=text) for text in texts])


def blocking(target: str, question: str = "hello", talk: tuple[str, ...] = ("one", "two")) -> list[Any]:
    with grpc.insecure_channel(target) as channel:
        stubs = _stubs(channel)
        answer, call = stubs["Ask"].with_call(StringValue(value=question))
        heard: list[Any] = [dict(answer), call.code(), dict(call.trailing_metadata())]
        with pytest.raises(grpc.RpcError) as error:
            stubs["Ask"](StringValue(value="secret"))
        heard += [error.value.code(), error.value.details()]  # type: ignore[attr-defined]
        heard.append(dict(stubs["Ask"].future(StringValue(value="later")).result()))
        heard.append([dict(each) for each in stubs["List"](StringValue(value="a b c"))])
        heard.append(dict(stubs["Count"](_said("x", "y", "z"))))
        heard.append([dict(each) for each in stubs["Talk"](_said(*talk))])
        return heard


async def asyncio_(target: str, question: str = "hello", talk: tuple[str, ...] = ("one", "two")) -> list[Any]:
    async with grpc.aio.insecure_channel(target) as channel:
        stubs = _stubs(channel)
        call = stubs["Ask"](StringValue(value=question))
        heard: list[Any] = [dict(await call), await call.code(), dict([*await call.trailing_metadata()])]
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stubs["Ask"](StringValue(value="secret"))
        heard += [error.value.code(), error.value.details()]
        heard.append([dict(each) async for each in stubs["List"](StringValue(value="a b c"))])
        heard.append(dict(await stubs["Count"](_said("x", "y", "z"))))

        async def requests() -> AsyncGenerator[StringValue]:
            for each in _said(*talk):
                yield each

        heard.append([dict(each) async for each in stubs["Talk"](requests())])
        written = stubs["Talk"]()
        for each in _said("three"):
            await written.write(each)
            heard.append(dict(await written.read()))
        await written.done_writing()
        heard.append(await written.read() is getattr(grpc.aio, "EOF"))  # noqa: B009 (its stubs lack it)
        return heard


async def in_a_thread(target: str, *args: Any, **kwargs: Any) -> list[Any]:
    return await asyncio.to_thread(blocking, target, *args, **kwargs)


@pytest.mark.parametrize("client", [in_a_thread, asyncio_])
async def test_every_shape_of_a_call_is_replayed(service: Any, tmp_path: Path, client: Any) -> None:
    one, target = service
    async with record(tmp_path / "c"):
        recorded = await client(target)
    calls = one.calls
    async with replaying(tmp_path / "c") as player:
        replayed = await asyncio.wait_for(client(target), 10)
    assert replayed == recorded and one.calls == calls
    assert player.report().verdict == "identical", player.report().explain()
    assert "demo.Desk/Ask" in (tmp_path / "c" / "http.json").read_text()


@pytest.mark.parametrize("client", [in_a_thread, asyncio_])
async def test_a_changed_request_is_named(service: Any, tmp_path: Path, client: Any) -> None:
    one, target = service
    async with record(tmp_path / "c"):
        await client(target)
    calls = one.calls
    async with replaying(tmp_path / "c") as player:
        with pytest.raises(grpc.RpcError, match="not in the cassette"):
            await client(target, question="goodbye")
    first = player.report().first
    assert first is not None and "GRPC /demo.Desk/Ask" in first.asked
    assert [(change.recorded, change.now) for change in first.changes] == [("hello", "goodbye")]
    async with replaying(tmp_path / "c") as player:
        with pytest.raises(grpc.RpcError, match="not in the cassette"):
            await asyncio.wait_for(client(target, talk=("one", "three")), 10)
    first = player.report().first
    assert first is not None and "GRPC /demo.Desk/Talk, event " in first.asked
    assert [(change.recorded, change.now) for change in first.changes] == [("two", "three")]
    assert one.calls == calls


@pytest.mark.parametrize("client", [in_a_thread, asyncio_])
async def test_what_no_cassette_holds_is_refused_on_channels_opened_before_too(
    service: Any, client: Any
) -> None:
    one, target = service
    with grpc.insecure_channel(target) as channel:
        ask = _stubs(channel)["Ask"]
        async with replaying(Cassette()) as player:
            with pytest.raises(grpc.RpcError, match="not in the cassette"):
                ask(StringValue(value="hello"))
            with pytest.raises(grpc.RpcError, match="not in the cassette"):
                await client(target)
    assert one.calls == 0 and not player.report().passed


async def test_secrets_do_not_get_into_the_cassette(service: Any, tmp_path: Path) -> None:
    _, target = service
    text = "write to carla@hotel.example"
    async with record(tmp_path / "c"):
        with grpc.insecure_channel(target) as channel:
            await asyncio.to_thread(_stubs(channel)["Ask"], StringValue(value=text))
    assert "carla@hotel" not in (tmp_path / "c" / "http.json").read_text()
    async with replaying(tmp_path / "c") as player:
        with grpc.insecure_channel(target) as channel:
            answer = await asyncio.to_thread(_stubs(channel)["Ask"], StringValue(value=text))
    assert player.report().passed and "@hotel.example" in dict(answer)["said"]
