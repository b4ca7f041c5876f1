"""``simulate judge calibrate`` as a program, against a model server that speaks OpenAI's wire."""

import asyncio
import json
import math
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.agents.model_server import ModelServer
from simulate.interfaces.cli.main import main

EXAMPLE = Path("fixtures/judge/refund.labelled.yaml").resolve()
Rule = Callable[[str, list[str]], str]


class Server:
    """A model server in a thread of its own; ``server.rule`` says the label of a statement and the lines."""

    def __init__(self) -> None:
        self.server = ModelServer(brains={"judge": self._brain})
        self.rule: Rule = lambda statement, lines: "yes"
        self.sure: float | None = None
        self.text: str | None = None
        self.loop = asyncio.new_event_loop()
        self.stop = asyncio.Event()
        ready = threading.Event()

        async def serve() -> None:
            async with self.server.running():
                ready.set()
                await self.stop.wait()

        self.thread = threading.Thread(target=lambda: self.loop.run_until_complete(serve()), daemon=True)
        self.thread.start()
        assert ready.wait(10)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(10)
        self.loop.close()

    def _brain(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        if self.text is not None:
            return {"content": self.text}
        shown = re.findall(r"^([A-Z]): ([\w ]+?) \(", messages[0]["content"], re.M)
        letters = {label: letter for letter, label in shown}
        asked = re.search(r"whichever of its lines\?\n(\".*\")", messages[0]["content"])
        data = [json.loads(line) for line in messages[1]["content"].splitlines() if line.startswith("{")]
        material = {key: value for part in data for key, value in part.items()}
        if asked:
            lines = [one["text"] for one in material["what the agent said"]]
            label = self.rule(json.loads(asked[1]), lines)
        else:
            lines = material["the context"]
            label = self.rule("", [material["the claim"]])
        head = json.dumps({"evidence": lines[:1], "reason": "it says so"})[:-1] + ', "answer": "'
        answer: dict[str, Any] = {"content": f'{head}{letters[label]}"}}'}
        if self.sure is not None:
            other = next(letter for one, letter in letters.items() if one != label)
            likely = ((letters[label], self.sure), (other, 1 - self.sure))
            top = [{"token": one, "logprob": math.log(p), "bytes": None} for one, p in likely]
            tokens = [
                {"token": text, "logprob": top[0]["logprob"], "bytes": None, "top_logprobs": found}
                for text, found in ((head, []), (letters[label], top), ('"}', []))
            ]
            answer["logprobs"] = {"content": tokens, "refusal": None}
        return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    one = Server()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    config = f'[tool.simulate.models]\njudge = {{ base_url = "{one.server.url}", model = "judge" }}\n'
    (tmp_path / "pyproject.toml").write_text(config, "utf-8")
    yield one
    one.close()


def case(label: str, text: str, **more: Any) -> dict[str, Any]:
    return {"said": "That it is refunded", "agent": text, "label": label, **more}


def jsonl(path: Path, *cases: Any) -> Path:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in cases), "utf-8")
    return path


TEN = [
    *(case("yes", f"Order {number} is refunded.") for number in range(5)),
    *(case("no", f"Order {number} is not refunded.") for number in range(5)),
]


def test_a_judge_that_agrees(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.rule = lambda statement, lines: "no" if "not" in lines[0] else "yes"
    assert main(["judge", "calibrate", str(jsonl(tmp_path / "ten.jsonl", *TEN)), "--least", "0.8"]) == 0
    out, err = capsys.readouterr()
    assert "1.00  (0.72 to 1.00): 10 of 10" in out, "the interval knows that ten are few"
    assert re.search(r"kappa +1\.00  \(0\.44 to 1\.00\)", out)
    assert "no label is weak" in out and "Cohen 1960" in out
    assert "✓ 10/10" in err and len(server.server.requests) == 20


def test_a_judge_that_says_yes_to_all(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It quotes what was really said, so that no check of its evidence finds it: this does."""
    code = main(
        ["judge", "calibrate", str(jsonl(tmp_path / "ten.jsonl", *TEN)), "--least", "0.6", "--json", "k.json"]
    )
    out = capsys.readouterr().out
    assert code == 1
    assert "0.50  (0.24 to 0.76): 5 of 10" in out
    assert re.search(r"kappa +0\.00  \(one side gives one label only", out)
    assert "weak: “no”: found 0 of 5, mostly taken for “yes”" in out
    assert "weak: “yes”: right 5 of 10 times" in out
    assert (
        "ten.jsonl:6 That it is refunded: “Order 0 is not refunded.”: people “no”, judge “yes”: it says"
        in out
    )
    (question,) = json.loads(Path("k.json").read_text())["questions"]
    assert question["kappa"]["value"] == pytest.approx(0)
    assert question["confusion"] == {"labels": ["yes", "no"], "rows": [[5, 0], [5, 0]]}


def test_how_right_it_is_where_it_is_sure(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.sure = 0.8
    assert main(["judge", "calibrate", str(jsonl(tmp_path / "ten.jsonl", *TEN)), "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["method"] for one in told["cases"]} == {"logprobs"}
    assert {round(one["confidence"], 6) for one in told["cases"]} == {0.8}
    assert main(["judge", "calibrate", "ten.jsonl"]) == 0
    assert "right where its confidence (logprobs) is 0.75–0.9: 5 of 10" in capsys.readouterr().out


def test_the_example(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """It can be read, asks of both kinds, and is not passed by a judge that only knows a word."""
    server.rule = lambda statement, lines: (
        ("yes" if "refunded" in " ".join(lines) else "no") if statement else "not supported"
    )
    assert main(["judge", "calibrate", str(EXAMPLE), "--json", "-"]) == 0
    said, faithful = json.loads(capsys.readouterr().out)["questions"]
    assert (said["question"], faithful["question"]) == ("said", "Faithfulness")
    given = {one["label"]: one["given"] for one in said["labels"]}
    assert given["yes"] >= 7 and given["no"] >= 10 and given["cannot tell"] == 1
    assert said["kappa"]["value"] < 0.5
    assert {one["label"] for one in faithful["labels"] if one["given"]} == {
        "supported",
        "contradicted",
        "not supported",
        "no claim",
    }


def test_a_judge_that_babbles_is_told_case_by_case(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.text = "I would say yes."
    assert main(["judge", "calibrate", str(jsonl(tmp_path / "ten.jsonl", *TEN))]) == 3
    out = capsys.readouterr().out
    assert "said: 10 cases, 10 without a judgement" in out
    assert out.count("simulator fault: the judge's answer could not be used") == 10
    assert "kappa " not in out


def test_a_judge_that_goes_down_keeps_what_was_finished(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered = server.rule

    def rule(statement: str, lines: list[str]) -> str:
        if "Order 5" in lines[0]:
            server.server.fail("quota", 1000)
        return answered(statement, lines)

    server.rule = rule
    many = [case("yes", f"Order {number} is refunded.") for number in range(40)]
    assert main(["judge", "calibrate", str(jsonl(tmp_path / "many.jsonl", *many)), "--json", "-"]) == 3
    told = json.loads(capsys.readouterr().out)
    finished = [one for one in told["cases"] if one["fault"] is None]
    assert 0 < len(finished) < 40 and len(told["cases"]) == 40
    assert {one["fault"]["side"] for one in told["cases"] if one["fault"]} == {"environment"}
    assert len(server.server.requests) < 60, "who is down is not asked for every case"


def test_a_budget_and_a_cache(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(jsonl(tmp_path / "ten.jsonl", *TEN))
    assert main(["judge", "calibrate", file, "--judge-cache", "kept", "--judge-calls", "6"]) == 3
    assert "budget" in capsys.readouterr().out
    asked = len(server.server.requests)
    assert asked <= 6
    assert main(["judge", "calibrate", file, "--judge-cache", "kept"]) == 0
    assert main(["judge", "calibrate", file, "--judge-cache", "kept"]) == 0
    assert len(server.server.requests) <= asked + 20


def test_a_question_of_ones_own(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = 'quote_from = ["the context"]\nquestion = "MINE?"\n'
    mine += 'labels = {good = {means = "g"}, bad = {means = "b"}}\n'
    (tmp_path / "faithfulness.v1.toml").write_text(mine, "utf-8")
    material = {"the claim": "It came.", "the context": ["It came."]}
    one = {"evaluator": "Faithfulness", "material": material, "label": "good"}
    file = str(jsonl(tmp_path / "one.jsonl", one))
    server.rule = lambda statement, lines: "good"
    assert main(["judge", "calibrate", file, "--prompts", str(tmp_path)]) == 0
    assert "MINE?" in server.server.requests[0]["messages"][0]["content"]
    assert main(["judge", "calibrate", file]) == 2
    assert '"good" is not a label of Faithfulness' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ([case("maybe", "x")], '"maybe" is not a label of said; there is cannot tell, no, yes'),
        ([case("yes", "x") | {"sad": 1}], 'did you mean "said"?'),
        ([{"said": "x", "label": "yes"}], "`said` needs what the `agent` said"),
        ([{"label": "yes"}], "either `said` with `agent`, or `evaluator`"),
        ([case("yes", "x", evaluator="Faithfulness")], "either `said` with `agent`, or `evaluator`"),
        ([{"evaluator": "Faithfulnes", "label": "yes"}], 'did you mean "Faithfulness"?'),
        ([{"evaluator": "ProtectFlash", "label": "yes"}], "has two public meanings"),
        ([{"evaluator": "PII", "label": "yes"}], "PII asks no judge"),
        ([{"evaluator": "Faithfulness", "material": {"x": "y"}, "label": "supported"}], "needs the context"),
        ([case("yes", "x"), case("no", "x")], "labelled “yes” there and “no” here"),
        ([case("yes", "x"), case("yes", "x", name="twin")], "the same stands at"),
        ([], "it holds no case"),
        (["text"], ""),
    ],
)
def test_what_is_refused_before_a_judge_is_paid(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], cases: list[Any], said: str
) -> None:
    assert main(["judge", "calibrate", str(jsonl(tmp_path / "bad.jsonl", *cases))]) == 2
    err = capsys.readouterr().err
    assert said in err and "bad.jsonl" in err
    assert not server.server.requests


def test_every_problem_stands_at_its_line(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text(
        "cases:\n  - said: x\n    agent: y\n    label: perhaps\n  - said: x\n    label: yes\n    nme: z\n",
        "utf-8",
    )
    assert main(["judge", "calibrate", "bad.yaml"]) == 2
    err = capsys.readouterr().err
    assert "bad.yaml:2:" in err and "bad.yaml:7:" in err
    (tmp_path / "bad.jsonl").write_text(
        '{"said": "x", "agent": "\\ud83d\\ude00", "label": "yes"}\n{"a": \n', "utf-8"
    )
    assert main(["judge", "calibrate", "bad.jsonl"]) == 2
    assert "bad.jsonl:2: not a line of JSON" in capsys.readouterr().err
    assert main(["judge", "calibrate", "nothing.yaml"]) == 2
    assert main(["judge", "calibrate", str(EXAMPLE), "--least", "7"]) == 2


def test_no_judge_is_no_agreement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["judge", "calibrate", str(EXAMPLE)]) == 2
    assert "no model is configured to judge" in capsys.readouterr().err
