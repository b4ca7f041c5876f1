"""Redaction: none of a planted set survives, in 40 places of a span; no id, number, price or time changes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulate.errors import InputError
from simulate.trace import read
from simulate.trace.otlp.encode import to_json
from simulate.trace.redaction.mask import SecretMask
from simulate.trace.redaction.redact import Redactor
from simulate.trace.redaction.searched import folded
from simulate.trace.span import Event, Link, Span

# put together here, so that no scanner takes this file for a leak
B = "A1b2C3d4E5f6G7h8J9k0L1m2N3p4Q5r6S7t8U9v0"
PLANTED = {
    "openai": "sk-proj-" + B,
    "anthropic": "sk-ant-api03-" + B,
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + B[:36],
    "github fine": "github_pat_" + B,
    "gitlab": "glpat-" + B[:20],
    "slack": "xoxb-" + "1234567890-" + B[:24],
    "stripe": "sk_live_" + B[:24],
    "google": "AIza" + B[:35],
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + B[:30],
    "npm": "npm_" + B[:36],
    "hugging face": "hf_" + "abcdefGHIJKLmnopqrSTUVwxyz01234567",
    "groq": "gsk_" + B,
    "sendgrid": "SG." + B[:22] + "." + B,
    "twilio": "SK" + "0123456789abcdef" * 2,
    "langsmith": "lsv2_pt_" + B[:32],
    "langfuse": "sk-lf-" + "12345678-aaaa-bbbb",
    "pem": "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n" + B + "\n-----END PRIVATE KEY-----",
    "email": "jane.doe+shop@mail.example.com",
    "phone": "+1 (415) 555-0132",
    "phone us": "415-555-0199",
    "phone de": "+49 30 1234567",
    "card": "4111 1111 1111 1111",
    "card amex": "378282246310005",
    "iban": "DE89 3704 0044 0532 0130 00",
    "ipv4": "93.184.216.34",
    "ipv6": "2001:db8:85a3::8a2e:370:7334",
    "ssn": "078-05-1120",
}
TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
NS = 1_795_335_466_096_834_000
KEPT = {
    "order": "A-10023",
    "order number": "1002345678",
    "call": "call_X0OSgjUukT5inyEQvuZQnHrk",
    "uuid": "49b22f0c-4a56-41c5-922f-bc2a56e53a23",
    "trace": TRACE,
    "price": "$1,042.50",
    "time": "2025-12-04T14:51:22.049Z",
    "nanoseconds": str(NS),
    "model": "gpt-4o-mini-2024-07-18",
    "version": "1.45.2",
    "not a card": "4111 1111 1111 1112",
    "local": "http://127.0.0.1:8000/v1",
    "flight": "HAT-136 on 2024-05-20",
    "words": "a basic troubleshooting-procedure for sk-learn-pipelines",
}


def places(text: str) -> dict[str, Span]:
    """The text in 40 places, a span each."""
    nested = json.dumps({"content": text})
    spans: dict[str, Span] = {}

    def put(place: str, /, **more: Any) -> None:
        spans[place] = Span(TRACE, SPAN, more.pop("name", "chat"), PARENT, NS, NS + 5, **more)

    put("name", name=f"GET /users/{text}")
    put("status", status="error", status_message=f"failed for {text}.")
    put("event name", events=[Event(text, NS)])
    put("event attribute", events=[Event("e", NS, {"exception.message": f"no {text}"})])
    put("link attribute", links=[Link(TRACE, SPAN, {"why": text})])
    put("resource", resource={"service.name": "s", "host.owner": text})
    put("resource list", resource={"process.command_args": ["run", f"--user={text}"]})
    put("scope attribute", scope_attributes={"public_key": text})
    put("trace state", trace_state=f"vendor={text}")
    put("audio name", attributes={"audio.uri": f"s3://calls/{text}.wav"})
    put("bytes", attributes={"body": f"x {text} y".encode()})
    put("key of an object", attributes={"headers": {text: 1}})
    put("name of an attribute", attributes={f"customer.{text}": 1})
    for name, made in {
        "alone": text,
        "in a sentence": f"Please note {text}, thank you.",
        "quoted": f'he said "{text}" twice',
        "in brackets": f"({text})",
        "after a colon": f"contact: {text}",
        "after an equals sign": f"x={text}",
        "at a line's start": f"hello\n{text}\nbye",
        "after a tab": f"hello\t{text}",
        "in a query": f"https://h.example/p?a={text}&b=1",
        "twice": f"{text} {text}",
        "in markdown": f"**{text}**",
        "in a tag": f"<b>{text}</b>",
        "in CSV": f"1,{text},2",
        "in JSON": nested,
        "in a JSON list": json.dumps([1, text]),
        "in JSON with escapes": json.dumps({"content": f"ü\n{text}\n"}),
        "in JSON in JSON": json.dumps({"arguments": nested}),
        "in JSON in JSON in JSON": json.dumps({"a": json.dumps({"b": json.dumps([f"\n{text}"])})}),
        "in broken JSON": nested[:-1],
        "in JSON as a key": json.dumps({text: 1}),
        "in JSON text": json.dumps(f"call {text}"),
        "in indented JSON": json.dumps({"a": [{"b": text}]}, indent=2),
    }.items():
        put(name, attributes={"gen_ai.input.messages": made})
    put("in a list", attributes={"tags": ["a", text]})
    put("in an object", attributes={"metadata": {"who": text}})
    put("deep in an object", attributes={"metadata": {"a": [{"b": [text]}]}})
    put("in a chat message", attributes={"llm.input_messages.0.message.content": f"I am {text}"})
    put(
        "in a tool's arguments",
        attributes={"gen_ai.tool.call.arguments": json.dumps({"to": text, "amount": 42.5})},
    )
    return spans


def everything(span: Span) -> str:
    """All of a span as one text, JSON in JSON unpacked by taking the escapes away."""
    text = orjson.dumps(to_json([span])).decode()
    for value in span.attributes.values():
        if isinstance(value, bytes):
            text += base64.b64decode(base64.b64encode(value)).decode()
    while "\\" in text:
        text = (
            text.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
            if "\\\\" in text
            else text.replace("\\n", "\n").replace('\\"', '"').replace("\\", "")
        )
    return text


def test_there_are_forty_places() -> None:
    assert len(places("x")) == 40


@pytest.mark.parametrize("name", PLANTED)
def test_nothing_planted_survives_in_any_place(name: str) -> None:
    secret, redactor = PLANTED[name], Redactor()
    survived = [
        place
        for place, span in places(secret).items()
        if any(line in everything(redactor.span(span)) for line in secret.split("\n") if len(line) > 8)
    ]
    assert survived == []


@pytest.mark.parametrize("name", KEPT)
def test_what_is_no_secret_stays_in_every_place(name: str) -> None:
    redactor = Redactor()
    changed = [
        place
        for place, span in places(KEPT[name]).items()
        if place != "after an equals sign" and redactor.span(span) != span
    ]
    assert changed == []


def test_ids_times_and_enums_never_change() -> None:
    span = places(PLANTED["email"])["name"]
    done = Redactor().span(span)
    assert (done.trace_id, done.span_id, done.parent_id) == (TRACE, SPAN, PARENT)
    assert (done.start_ns, done.end_ns, done.otel_kind, done.status) == (NS, NS + 5, "internal", "unset")
    assert span.name.endswith(PLANTED["email"])  # the given span is not written over


def test_json_stays_json_to_the_last_space() -> None:
    text = '{ "to":"a.b@example.com","n": 1.10,  "big": 12345678901234567890123, "é": "\\u00e9" }'
    done = Redactor(b"k").text(text)
    placeholder = Redactor(b"k").text("a.b@example.com")
    assert done == text.replace("a.b@example.com", placeholder)
    json.loads(done)


def test_the_same_value_has_the_same_placeholder_however_it_is_written() -> None:
    redactor = Redactor()
    assert redactor.text("A@Example.com") == redactor.text("a@example.com")
    assert redactor.text("+1 415 555 0132") == redactor.text("+1 (415) 555-0132")
    assert redactor.text("4111-1111-1111-1111") == redactor.text("4111111111111111")


def test_placeholders_are_keyed() -> None:
    assert len({Redactor().text("a@example.com") for _ in range(8)}) > 1
    assert Redactor(b"one").text("a@example.com") == Redactor("one").text("a@example.com")


def test_two_values_never_share_a_placeholder() -> None:
    redactor = Redactor(b"k")
    made = {redactor.text(f"user{number}@example.com") for number in range(3000)}
    assert len(made) == 3000


def test_a_second_pass_changes_nothing() -> None:
    redactor = Redactor()
    for secret in PLANTED.values():
        for span in places(secret).values():
            once = redactor.span(span)
            assert redactor.span(once) == once


def test_keys_that_name_a_secret_hide_any_text() -> None:
    done = Redactor(b"k").value(
        {
            "password": "hunter",
            "api_key": ["a", "b"],
            "usage": {"total_tokens": 5},
            "max_tokens": "5",
            "token": " Hi",
        }
    )
    assert done["password"].startswith("<secret:")
    assert all(item.startswith("<secret:") for item in done["api_key"])
    assert (done["usage"], done["max_tokens"], done["token"]) == ({"total_tokens": 5}, "5", " Hi")
    text = Redactor(b"k").text('{"password": "hunter", "logprobs": [{"token": "Hi"}]}')
    assert json.loads(text)["password"].startswith("<secret:")
    assert json.loads(text)["logprobs"] == [{"token": "Hi"}]


def test_patterns_and_paths_of_ones_own() -> None:
    redactor = Redactor(
        b"k", patterns={"customer": r"C-[0-9]{4}"}, paths=["attributes.user.id", "**.address", "$.x[0]"]
    )
    span = Span(
        TRACE,
        SPAN,
        "n",
        attributes={
            "user.id": "u-17",
            "note": "for C-1234",
            "gen_ai.tool.call.arguments": '{"order": {"address": {"street": "Elm 5"}, "n": 3}}',
        },
    )
    done = redactor.span(span).attributes
    assert done["user.id"].startswith("<redacted:")
    assert done["note"].startswith("for <customer:")
    arguments = json.loads(done["gen_ai.tool.call.arguments"])
    assert arguments["order"]["n"] == 3
    assert arguments["order"]["address"].startswith("<redacted:")
    assert redactor.value({"x": [1, 2]})["x"][0].startswith("<redacted:")
    with pytest.raises(InputError, match="not a regular expression"):
        Redactor(patterns={"x": "("})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_json_stays_json_of_the_same_shape(value: Any) -> None:
    # inside of an array: a text that is nothing but digits may be a card's number
    (done,) = json.loads(Redactor(b"k").text(json.dumps([value])))
    assert type(done) is type(value)


def test_findings_say_what_and_where() -> None:
    text = "mail a@example.com or call +1 415 555 0132"
    found = Redactor().find(text)
    assert [(each.kind, text[each.start : each.end]) for each in found] == [
        ("email", "a@example.com"),
        ("phone", "+1 415 555 0132"),
    ]


SHARED = Path(__file__).parents[3] / "shared" / "traces"


@pytest.mark.skipif(not SHARED.exists(), reason="the shared traces are not beside the checkout")
def test_a_real_export_loses_its_key_and_keeps_its_ids() -> None:
    (trace,) = read(SHARED / "05_langfuse_ui_pydantic_ai_tools.json")
    done = Redactor().trace(trace)
    assert "pk-lf-1234567890" in repr(trace.spans)
    assert "pk-lf-1234567890" not in repr(done.spans)
    assert [(span.span_id, span.parent_id) for span in done] == [
        (span.span_id, span.parent_id) for span in trace
    ]


_SAID = st.sampled_from(
    [
        *("anna@shop.example", "sk-proj-A1b2C3d4E5f6G7h8J9k0", "4111 1111 1111 1111", "my pin is 20394"),
        *("fine", "12:30"),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(("input.value", "api_key", "user.id", "note")),
            st.text(max_size=12) | _SAID | _SAID.map(lambda text: json.dumps({"said": text})),
        ),
        max_size=6,
    )
)  # fmt: skip
def test_spans_that_are_looked_at_together_are_redacted_as_each_alone(found: list[dict[str, Any]]) -> None:
    spans = [Span("a" * 32, f"{at:016x}", "call", attributes=each) for at, each in enumerate(found)]
    together, alone = Redactor(b"k"), Redactor(b"k")
    assert together.spans(spans) == [alone.span(span) for span in spans]
    assert together.counts == alone.counts


@pytest.mark.parametrize(
    "text",
    [
        "Authorization:\tBEARER\tA1b2C3d4E5f6G7h8",
        "Paſſword: hunter2!",
        "Mot De Passe est 1234x",
        "to\u212aEN=Ab12Cd34",
    ],
)
def test_a_secret_is_found_in_whatever_case_its_name_is_written(text: str) -> None:
    (found,) = Redactor(b"k").find(text)
    assert (found.kind, text[found.end :]) == ("secret", "")


@pytest.mark.parametrize(
    "text",
    [
        '{"headers":[{"name":"X-Api-Key","value":"abcdefghij123456"},{"na',
        "[{'name': 'DB_PASSWORD', 'value': 'abcdefghij123456'}]",
        "- name: DB_PASSWORD\n  value: abcdefghij123456\n",
    ],
)
def test_a_pair_is_found_where_no_json_can_be_read(text: str) -> None:
    assert "abcdefghij123456" not in Redactor(b"k").text(text)
    harmless = text.replace("X-Api-Key", "color").replace("DB_PASSWORD", "max_token")
    assert Redactor(b"k").text(harmless) == harmless


def test_a_text_in_lower_case_has_as_many_characters() -> None:
    assert all(len(folded(chr(number))) == 1 for number in range(0x110000))


PAIRS = {
    "env": [
        {"name": "DB_PASSWORD", "value": "hunter2!"},
        {"value": "abc-def", "name": "x-api-key"},
        {"Key": "secret", "Value": "zz-top"},
        {"key": "password", "value": {"stringValue": "open sesame"}},
        {"name": "color", "value": "red"},
    ]
}


@pytest.mark.parametrize(
    "value",
    [PAIRS, json.dumps(PAIRS), {"nested": json.dumps({"in": json.dumps(PAIRS)})}],
    ids=["values", "JSON", "JSON in JSON in a value"],
)
def test_a_value_beside_the_name_of_a_secret_is_one(value: Any) -> None:
    mask = SecretMask()
    shown = json.dumps(mask.value(value))
    assert [each for each in ("hunter2", "abc-def", "zz-top", "sesame") if each in shown] == []
    assert "DB_PASSWORD" in shown and "red" in shown
    again = mask.value(value)
    assert mask.value(again) == again


@pytest.mark.parametrize("depth", [700, 990])
def test_pairs_are_found_however_deep_they_lie(depth: int) -> None:
    deep = '{"value":' * depth + '{"name":"password","value":"abcdefgh"}' + "}" * depth
    assert "abcdefgh" not in Redactor().text(deep)
    harmless = '[{"name": "color",   "value": 1.50}]'
    assert Redactor().text(harmless) == harmless


@pytest.mark.parametrize(
    "text",
    ["password={}", 'config: {{"api_key": "{}"}} end', "Authorization: Custom {} end", "see token={}; next"],
)
def test_a_long_secret_is_hidden_to_its_end(text: str) -> None:
    shown = SecretMask().text(text.format("aB3" * 2000))
    assert "<secret:" in shown
    assert "aB3" not in shown


@pytest.mark.parametrize("part", ["a_key=", 'key("', "a:b@"])
def test_names_and_signs_in_a_row_are_looked_through_in_time(part: str) -> None:
    """By the square of the text, any of these takes minutes, which pytest's time-out ends."""
    assert len(SecretMask().text(part * 20_000)) > 0
