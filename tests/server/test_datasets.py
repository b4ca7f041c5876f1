"""Golden datasets on the server: forms that need no script, reviews, labels, and the files that run."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from simulate.scoring.datasets import Dataset
from simulate.scoring.evaluators.calibration import load
from simulate.server.store import Store
from simulate.server.store.cases import cases_of
from simulate.server.store.retention import expire, forget_user
from simulate.trace.span import Span

Make = Callable[..., list[Span]]
Serve = Callable[..., Any]
TRACE = f"/traces/{1:032x}"


async def submitted(server: Any, page: str, action: str, **fields: str) -> tuple[int, str]:
    """Status and address after the form of a page is sent as a browser does, with its hidden fields."""
    _, text = await server.get(page)
    form = re.search(rf'(?s)<form[^>]*action="{re.escape(action)}">.*?</form>', text)
    assert form is not None, (page, action)
    hidden = dict(re.findall(r'<input type=hidden name=(\w+) value="([^"]*)"', form[0]))
    data = {name: unescape(value) for name, value in hidden.items()} | fields
    async with server.session.post(server.address + action, data=data, allow_redirects=False) as response:
        return response.status, response.headers.get("Location", await response.text())


async def with_case(serve: Serve, make: Make, **fields: str) -> tuple[Any, str]:
    server = await serve()
    assert await server.send(make(1, user="anna@example.com", session="s-1"), make(2)) == 200
    await server.settled()
    asked = {"why": "ticket 8831", "by": "Dana", **fields}
    status, place = await submitted(server, TRACE, f"{TRACE}/case", **asked)
    assert status == 303, place
    return server, urlsplit(place).path


async def test_a_trace_becomes_a_case_that_somebody_verifies_and_that_runs(
    serve: Serve, make: Make, tmp_path: Path
) -> None:
    server, case = await with_case(serve, make, expect="{called: lookup_order, times: 1}")
    assert "to review" in (await server.get("/datasets/golden"))[1]
    assert "A case of" in (await server.get(TRACE))[1]
    page = (await server.get(case))[1]
    assert "Where is order 4417?" in page and "anna@" not in page and "ticket 8831" in page
    assert (await submitted(server, case, f"{case}/review", verdict="accept", by=" "))[0] == 400
    status, _ = await submitted(server, case, f"{case}/review", verdict="accept", by="Elena")
    assert status == 303 and "verified by Elena" in (await server.get("/datasets/golden"))[1]
    async with server.session.get(f"{server.address}/api/v1/datasets/golden/files") as response:
        archive = zipfile.ZipFile(io.BytesIO(await response.read()))
    archive.extractall(tmp_path)
    dataset = Dataset.open(tmp_path / "golden")
    (kept,) = dataset.cases()
    assert kept.verified == "Elena" and dataset.edited() == {}
    assert kept.origin["why"] == "ticket 8831"
    assert "called: lookup_order" in kept.scenario.read_text("utf-8")


async def test_a_case_is_corrected_rejected_and_never_there_twice(serve: Serve, make: Make) -> None:
    server, case = await with_case(serve, make)
    again = await submitted(server, TRACE, f"{TRACE}/case", by="Dana")
    assert urlsplit(again[1]).path == case and "there already" in str(parse_qs(urlsplit(again[1]).query))
    status, place = await submitted(server, case, f"{case}/expect", tools="lookup_order, refund", by="Dana")
    corrected = urlsplit(place).path
    assert status == 303 and corrected != case and (await server.get(case))[0] == 404
    assert "after: lookup_order" in (await server.get(corrected))[1]
    status, problem = await submitted(server, corrected, f"{corrected}/expect", expect="no mapping", by="D")
    assert status == 400 and "not a mapping" in problem
    await submitted(server, corrected, f"{corrected}/review", verdict="reject", by="Elena")
    assert (await server.get("/api/v1/datasets/golden/files"))[0] == 400  # no case is left to run
    assert await server.json("/api/v1/datasets") == {"golden": {"candidate": 0, "verified": 0, "rejected": 1}}


async def test_a_corrected_case_keeps_its_name_and_why(serve: Serve, make: Make) -> None:
    server, case = await with_case(serve, make, name="the order")
    assert "/the-order-" in case
    _, place = await submitted(server, case, f"{case}/expect", tools="lookup_order, refund", by="Dana")
    corrected = urlsplit(place).path
    assert corrected != case and "/the-order-" in corrected
    assert "ticket 8831" in (await server.get(corrected))[1]


async def test_labels_are_what_judges_are_calibrated_by(serve: Serve, make: Make, tmp_path: Path) -> None:
    server, case = await with_case(serve, make)
    for label in ("no", "yes"):  # the second one corrects the first
        await submitted(server, case, f"{case}/label", said="That it comes on Friday", label=label, by="Dana")
    assert (await submitted(server, case, f"{case}/label", said="x", label="maybe", by="Dana"))[0] == 400
    _, text = await server.get("/api/v1/datasets/golden/labels")
    file = tmp_path / "golden.labelled.yaml"
    file.write_text(text, "utf-8")
    (labelled,) = load(file)
    assert (labelled.labelled.agent, labelled.labelled.label) == (["It arrives on Friday."], "yes")


async def test_a_form_without_its_token_changes_nothing(serve: Serve, make: Make) -> None:
    server, case = await with_case(serve, make)
    for path in (
        f"{TRACE}/case",
        f"{TRACE}/test",
        f"{case}/review",
        f"{case}/label",
        "/views",
        "/views/drop",
    ):
        data = {"token": "x", "verdict": "reject", "by": "Eve", "name": "n", "query": "filter=error"}
        async with server.session.post(server.address + path, data=data) as response:
            assert response.status == 403, path
    assert (await server.json("/api/v1/datasets"))["golden"]["candidate"] == 1


async def test_the_form_of_a_test_answers_with_its_files(serve: Serve, make: Make) -> None:
    server, _ = await with_case(serve, make)
    _, page = await server.get(TRACE)
    token = re.search(r'name=token value="(\w+)"', page)[1]
    data = {"token": token, "name": "Late order"}
    async with server.session.post(f"{server.address}{TRACE}/test", data=data) as response:
        names = zipfile.ZipFile(io.BytesIO(await response.read())).namelist()
    assert "scenarios/late_order.yaml" in names


async def test_a_case_outlives_its_trace_and_goes_with_its_person(
    serve: Serve, make: Make, small_store: Store
) -> None:
    server, case = await with_case(serve, make)
    expire(small_store, 1e-9, None)
    assert (await server.get(TRACE))[0] == 404 and (await server.get(case))[0] == 200
    forget_user(small_store, "anna@example.com", small_store.names)
    assert cases_of(small_store, "default", "golden") == [] and (await server.get(case))[0] == 404


async def test_a_view_has_a_name_its_search_and_its_columns(serve: Serve, make: Make) -> None:
    server, _ = await with_case(serve, make)
    page = "/?filter=prompt%3Dv3&columns=session&columns=cost&columns=nonsense&since=24h"
    status, place = await submitted(server, page, "/views", name=" night  shift ")
    assert status == 303
    assert parse_qs(place[2:]) == {
        "filter": ["prompt=v3"], "columns": ["session", "cost"], "since": ["24h"]
    }  # fmt: skip
    _, listed = await server.get("/")
    address = unescape(re.search(r'href="(/\?[^"]*)">night shift<', listed)[1])
    _, shown = await server.get(address)
    heads = re.findall(r"<th scope=col[^>]*>([^<]*)</th>", shown)
    assert heads == ["session", "cost"] and "s-1" in shown
    await submitted(server, "/", "/views/drop")
    assert "night shift" not in (await server.get("/"))[1]


async def test_two_ticked_traces_are_compared_the_older_as_expected(serve: Serve, make: Make) -> None:
    server, _ = await with_case(serve, make)
    _, page = await server.get("/")
    ticks = re.findall(r'name=t value="(\w+)"', page)
    assert ticks == [f"{2:032x}", f"{1:032x}"]
    status, compared = await server.get(f"/compare?t={ticks[0]}&t={ticks[1]}")
    assert status == 200 and f"<title>same – {ticks[0]}</title>" in compared
    assert (await server.get(f"/compare?t={ticks[0]}"))[0] == 200
    # the page of a trace offers those of its name in which nothing failed
    assert f'name=a value="{2:032x}"' in (await server.get(TRACE))[1]


@pytest.mark.parametrize("name", ["../golden", "a/b", ".hidden", "x" * 61])
async def test_a_dataset_has_the_name_of_a_folder(serve: Serve, make: Make, name: str) -> None:
    server, _ = await with_case(serve, make)
    status, problem = await submitted(server, TRACE, f"{TRACE}/case", dataset=name, by="Dana")
    assert status == 400 and "not the name of a dataset" in unescape(problem)


async def test_a_program_adds_a_case(serve: Serve, make: Make) -> None:
    server, _ = await with_case(serve, make)
    asked = {"trace_id": f"{2:032x}", "tools": "lookup_order"}
    async with server.session.post(f"{server.address}/api/v1/datasets/golden/cases", json=asked) as response:
        assert response.status == 200 and (await response.json())["case"]
    async with server.session.post(
        f"{server.address}/api/v1/datasets/golden/cases", json={**asked, "tool": "x"}
    ) as response:
        assert response.status == 400
