# pyright: basic
"""A suite as its authors wrote it for pytest-recording; `test_recorded_suite.py` runs it as test_agent.py."""

import httpx
import openai
import pytest
import requests

pytestmark = pytest.mark.block_network


@pytest.fixture(scope="module")
def vcr_config():
    return {"filter_headers": ["authorization"], "filter_query_parameters": ["key"], "ignore_localhost": True}


def ask(client):
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages)


@pytest.mark.vcr
def test_sdk():
    answer = ask(openai.OpenAI(api_key="test"))
    assert answer.choices[0].message.content == "Paris."


@pytest.mark.vcr("shared.yaml")
def test_shared_cassette_and_filtered_key(vcr):
    found = requests.get("https://weather.example/v1/today?city=Paris&key=secret", timeout=5)
    assert found.json() == {"sky": "blue"}
    assert vcr.play_count == 1


class TestAgent:
    @pytest.mark.vcr
    async def test_async(self):
        async with httpx.AsyncClient() as client:
            found = await client.post("https://weather.example/v1/ask", json={"city": "Paris"})
        assert found.json() == {"sky": "grey"}


@pytest.mark.default_cassette("shared.yaml")
@pytest.mark.vcr
def test_changed():
    requests.get("https://weather.example/v1/today?city=Rome", timeout=5)


def test_blocked():
    with pytest.raises(RuntimeError, match=r"^Network is disabled$"):
        requests.get("http://127.0.0.1:9/", timeout=5)


@pytest.mark.block_network(allowed_hosts=["127.*"])
def test_allowed():
    with pytest.raises(requests.ConnectionError):
        requests.get("http://127.0.0.1:9/", timeout=5)
