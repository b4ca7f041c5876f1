from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from simulate.errors import InputError
from simulate.replay.matching.keys import call_key
from simulate.replay.matching.request import HttpRequest
from simulate.replay.matching.rules import Rules

JSON = {"Content-Type": "application/json"}


def key(
    body: object,
    url: str = "https://api.openai.com/v1/chat/completions",
    rules: Rules | None = None,
    **headers: str,
) -> str:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpRequest("POST", url, {**JSON, **headers}, content).canonical(rules or Rules()).key


def test_host_prefix_and_order_mean_nothing_for_a_model_provider() -> None:
    one = key({"model": "m", "messages": []})
    assert one == key({"messages": [], "model": "m"}, "http://127.0.0.1:4141/v1/chat/completions")
    assert one == key(b'{ "model":"m",  "messages":[] }', "https://proxy.example/openai/v1/chat/completions")
    assert one == key({"model": "m", "messages": []}, **{"Authorization": "Bearer x", "User-Agent": "y"})
    assert one != key({"model": "n", "messages": []})
    assert one != key({"model": "m", "messages": []}, "https://api.openai.com/v1/responses")


def test_another_host_is_another_service_unless_told_so() -> None:
    assert key({}, "https://a.example/search") != key({}, "https://b.example/search")
    rules = Rules(aliases={"a.example": "search", "b.example": "search"})
    assert key({}, "https://a.example/search", rules) == key({}, "https://b.example/search", rules)
    assert key({}, "http://127.0.0.1:1/x") == key({}, "http://localhost:2/x")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/forms/{}/responses", None),
        ("GET", "/v1/threads/{}/messages", None),
        ("GET", "/v1/models/{}/versions", None),
        ("GET", "/projects/{}/models", None),
        ("GET", "/gmail/v1/users/{}/messages", None),
        ("POST", "/customers/{}/messages", {"text": "hi"}),
        ("POST", "/v1/messages", {"to": "{}"}),
        ("POST", "/tenants/{}/chat/completions", {"model": "m", "messages": []}),
        ("POST", "/openai/deployments/{}/chat/completions", {"messages": []}),
        ("POST", "/index/{}/embeddings", {"input": "x"}),
        ("POST", "/v1/models/{}:predict", {"input": "x"}),
    ],
)
def test_a_path_that_only_ends_like_a_models_is_keyed_in_full(
    method: str, path: str, body: dict[str, Any] | None
) -> None:
    def key_for(name: str, host: str) -> str:
        content = b"" if body is None else json.dumps(body).replace("{}", name).encode()
        return HttpRequest(method, f"http://{host}{path.format(name)}", JSON, content).canonical(Rules()).key

    assert key_for("4711", "a.example") != key_for("9999", "a.example")


def test_whose_host_is_a_providers_or_configured_may_be_asked_by_any_base_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"model": "m", "messages": []}
    plain = key(body)
    assert key(body, "https://api.groq.com/team/4711/openai/v1/chat/completions") == plain
    gateway = "https://gateway.example/team/4711/chat/completions"
    assert key(body, gateway) != plain
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example/team/4711/")
    assert key(body, gateway) == plain
    assert key(body, gateway.replace("4711", "4712")) != plain


def test_query_is_sorted_and_counts() -> None:
    assert key({}, "http://h.example/x?a=1&b=2") == key({}, "http://h.example/x?b=2&a=1")
    assert key({}, "http://h.example/x?a=1") != key({}, "http://h.example/x?a=2")


def test_multipart_boundaries_mean_nothing_and_parts_do() -> None:
    def form(boundary: str, text: str, file: bytes) -> str:
        body = (
            (
                f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{text}\r\n'
                f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
                "Content-Type: audio/wav\r\n\r\n"
            ).encode()
            + file
            + f"\r\n--{boundary}--\r\n".encode()
        )
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        return HttpRequest("POST", "http://h/v1/audio/transcriptions", headers, body).canonical(Rules()).key

    assert form("aaa", "w", b"\x00\r\n\xff") == form("bbb", "w", b"\x00\r\n\xff")
    assert form("aaa", "w", b"\x00") != form("aaa", "w", b"\x01")
    assert form("aaa", "w", b"\x00") != form("aaa", "v", b"\x00")


def test_json_rpc_ids_and_trace_context_are_left_out() -> None:
    def call(number: int, trace: str) -> bytes:
        meta = {"traceparent": trace, "tracestate": "x", "progressToken": number}
        params = {"name": "t", "arguments": {"a": 1}, "_meta": meta}
        return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()

    assert key(call(1, "00-a"), "http://h/mcp") == key(call(2, "00-b"), "http://h/mcp")


@pytest.mark.parametrize(
    ("path", "a", "b", "same"),
    [
        (
            "$.metadata.request_id",
            {"metadata": {"request_id": 1, "k": 2}},
            {"metadata": {"request_id": 9, "k": 2}},
            True,
        ),
        ("$.metadata.request_id", {"metadata": {"k": 1}}, {"metadata": {"k": 2}}, False),
        ("$..at", {"x": [{"at": 1}, {"y": {"at": 2}}]}, {"x": [{"at": 3}, {"y": {"at": 4}}]}, True),
        (
            "$.messages[*].name",
            {"messages": [{"name": "a", "c": 1}]},
            {"messages": [{"name": "b", "c": 1}]},
            True,
        ),
        ("$.messages[0]", {"messages": [1, 2]}, {"messages": [9, 2]}, True),
        ("$.messages[0]", {"messages": [1, 2]}, {"messages": [1, 9]}, False),
        ("$['user']", {"user": "a"}, {}, True),
    ],
)
def test_declared_paths_are_ignored_and_nothing_else(path: str, a: object, b: object, same: bool) -> None:
    rules = Rules(ignore=(path,))
    assert (key(a, rules=rules) == key(b, rules=rules)) is same


@pytest.mark.parametrize("path", ["messages", "$", "$.a[", "$.a b"])
def test_what_is_no_json_path_is_refused(path: str) -> None:
    with pytest.raises(InputError):
        Rules(ignore=(path,))


def test_redaction_comes_before_hashing_and_a_placeholder_stays_itself() -> None:
    rules = Rules(
        redact=lambda text: text.replace("ann@x.example", "<email>").replace("bob@x.example", "<email>")
    )
    assert key({"m": "mail ann@x.example"}, rules=rules) == key({"m": "mail bob@x.example"}, rules=rules)
    assert key({"m": "mail ann@x.example"}, rules=rules) == key({"m": "mail <email>"}, rules=rules)


def test_a_key_is_the_same_in_every_process_and_hash_seed() -> None:
    code = (
        "from simulate.replay.matching.keys import call_key;"
        "from simulate.replay.matching.request import HttpRequest;"
        "from simulate.replay.matching.rules import Rules;"
        "print(call_key('t', {'s': {'c','a','b'}, 'n': 10**30}, Rules()),"
        "HttpRequest('POST',"
        "'http://h/x?b=1&a=2',{'content-type':'application/json'},b'{\"b\":1,\"a\":[1.5]}').canonical(Rules()).key)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_an_objects_address_is_no_part_of_a_tools_key() -> None:
    assert call_key("t", {"o": object()}, Rules()) == call_key("t", {"o": object()}, Rules())


def test_the_hash_of_the_bytes_tells_apart_what_the_key_tells_apart() -> None:
    def of(target: str, body: bytes = b"{}", name: str = "X-Amz-Target") -> str:
        return HttpRequest("POST", "https://db.example/", {name: target, **JSON}, body).exact(Rules())

    assert of("Describe") != of("Delete") and of("Describe") == of("Describe", name="x-amz-target")
    assert of("Describe") != of("Describe", b"{ }")
    responses, messages = (
        HttpRequest("POST", f"http://a/v1/{name}", JSON, b"") for name in ("responses", "messages")
    )
    assert responses.exact(Rules()) != messages.exact(Rules())


def test_the_canonical_form_is_computed_once_for_the_rules_of_a_session() -> None:
    rules = Rules(redact=lambda text: text)
    request = HttpRequest("post", "http://a/v1/chat/completions", JSON, b'{"model":"m","messages":[]}')
    assert request.canonical(rules) is request.canonical(rules)
    assert request.as_chat(rules) is request.as_chat(rules) is not None
    assert request.canonical(Rules(ignore=("$.model",))).body == {"messages": []}
