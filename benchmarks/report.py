"""How long the HTML report of many outcomes takes to write and to open.

``python -m benchmarks.report [outcomes]`` prints one table. Writing is compared, in the same run, with merely
writing the same outcomes and spans as JSON lines; opening is what a headless Chromium says of its own page,
from the start of the navigation to the last row, beside an empty page. Searching is from each typed letter
to the new layout.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from simulate.interfaces.render.html import write_html
from simulate.model.json_values import to_json
from simulate.model.outcome import Outcome
from simulate.model.transcript import Conversation, Utterance
from simulate.model.verdict import Verdict
from simulate.trace.span import Span, Trace

TURNS = 6
ANSWER = "Your order 4417 was lost on its way. I can send it again, or refund 42.50 dollars to your card. "


def one(number: int) -> tuple[Outcome, Trace]:
    """An outcome of six turns with a trace of nineteen spans in the GenAI conventions."""
    trace_id = f"{number + 1:032x}"
    talk = Conversation(trace_id, duration=TURNS * 2.0, ended_by="caller")
    spans = [Span(trace_id, f"{1:016x}", "conversation", None, 1, TURNS * 2_000_000_000)]
    history: list[dict[str, object]] = []
    for turn in range(1, TURNS + 1):
        at = turn * 2_000_000_000
        talk.utterances.append(Utterance("caller", "Where is it?", turn, turn * 2.0, turn * 2.0))
        talk.utterances.append(Utterance("agent", ANSWER, turn, turn * 2.0 + 1, turn * 2.0 + 1.2))
        history.append({"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]})
        for place, (name, operation) in enumerate(
            (
                ("invoke_agent support", "invoke_agent"),
                ("chat m", "chat"),
                ("execute_tool lookup", "execute_tool"),
            )
        ):
            attributes = {"gen_ai.operation.name": operation, "gen_ai.request.model": "m"}
            if operation == "chat":
                attributes["gen_ai.input.messages"] = to_json(history).decode()
            spans.append(
                Span(
                    trace_id, f"{turn * 10 + place:016x}", name, f"{1:016x}", at, at + 900_000_000, attributes
                )
            )
        history.append({"role": "assistant", "parts": [{"type": "text", "content": ANSWER}]})
    status = "failed" if number % 10 == 0 else "passed"
    verdicts = [Verdict("called", "lookup is called", status, "see above", turn=2, span_id=f"{22:016x}")]
    outcome = Outcome(
        f"Scenario {number % 50}", "python:a:b", status, talk, trial=number // 50 + 1, verdicts=verdicts
    )
    outcome.trace_id = trace_id
    return outcome, Trace(trace_id, spans)


OPENED = "[performance.now()]"
TYPED = """(() => {
  const search = document.querySelector('input[type=search]');
  const took = [];
  for (const typed of ["4", "42", "4", "", "s", "sc", "sce", "scenario 42", "scenario 42 zzz", ""]) {
    search.value = typed;
    const began = performance.now();
    search.dispatchEvent(new Event("input", {bubbles: true}));
    document.body.getBoundingClientRect();
    took.push(performance.now() - began);
  }
  return took;
})()"""
"""Letters typed into the search; each is done when the page has its new layout."""


def timed(page: Path, script: str) -> list[float] | None:
    """The milliseconds that a script in a browser's page comes to, or None where there is no browser."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        return None
    # a copy that says what it measured, and then drops what would be slow to print
    text = re.sub(r"script-src [^;]*;", "script-src 'unsafe-inline';", page.read_text("utf-8"), count=1)
    says = f"<script>document.documentElement.replaceChildren('DONE ' + {script}.join(' '))</script>"
    copy = page.with_name(f"timed-{page.name}")
    copy.write_text(text.replace("</body>", f"{says}</body>"), "utf-8")
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        done = subprocess.run(
            [*command, f"--user-data-dir={profile}", "--dump-dom", copy.as_uri()],
            capture_output=True,
            text=True,
        )
    found = re.search(r"DONE ([\d. ]+)", done.stdout)
    return [float(one) for one in found[1].split()] if found else None


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    pairs = [one(number) for number in range(count)]
    outcomes = [outcome for outcome, _ in pairs]
    traces = {trace.trace_id: trace for _, trace in pairs}
    with tempfile.TemporaryDirectory() as folder:
        write_html(Path(folder) / "empty.html", None, [])  # imports are not part of it
        began = time.perf_counter()
        with (Path(folder) / "bare.jsonl").open("wb") as file:
            file.writelines(to_json(outcome) + to_json(trace.spans) for outcome, trace in pairs)
        bare = time.perf_counter() - began
        began = time.perf_counter()
        page = write_html(Path(folder) / "report.html", None, outcomes, traces)
        written = time.perf_counter() - began
        print(f"{'outcomes':<34}{count:>10,}")
        print(f"{'spans':<34}{sum(map(len, traces.values())):>10,}")
        print(f"{'size of the page':<34}{page.stat().st_size / 1e6:>10.1f} MB")
        print(f"{'the same as bare JSON lines':<34}{bare:>10.2f} s")
        print(f"{'the page':<34}{written:>10.2f} s   {written / count * 1e3:.2f} ms an outcome")
        for name, path in (
            ("opening an empty report", Path(folder) / "empty.html"),
            ("opening the page", page),
        ):
            took = timed(path, OPENED)
            print(f"{name:<34}{'no Chromium' if took is None else f'{took[0] / 1e3:>10.2f} s'}")
        if (letters := timed(page, TYPED)) is not None:
            middle = statistics.median(letters)
            print(f"{'a letter typed into the search':<34}{middle:>10.0f} ms, at most {max(letters):.0f} ms")


if __name__ == "__main__":
    main()
