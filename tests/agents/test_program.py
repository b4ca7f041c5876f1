"""Agents on the command line, started for each turn or for the conversation."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from simulate.conversation.agents.adapter import Delta, EndpointOptions
from simulate.conversation.agents.program import ProgramAdapter
from simulate.errors import AgentFault, EnvironmentFault
from simulate.model.request_template import RequestTemplate
from tests.agents.served import CONVERSATION, events, said


def program(folder: Path, text: str, more: str = "", **request: Any) -> ProgramAdapter:
    (folder / "agent.py").write_text(text)
    template = RequestTemplate.model_validate(request) if request else None
    address = f"exec:{sys.executable} {folder / 'agent.py'} {more}".strip()
    return ProgramAdapter(address, EndpointOptions(request=template, root=folder))


LINES = """
import os, sys
print("Welcome.", flush=True)
for line in sys.stdin:
    if line == "bye\\n":
        break
    print(f"You said {line.strip()} in {os.environ['TRACEPARENT'][3:5]}", flush=True)
"""


async def test_a_line_for_a_line(tmp_path: Path) -> None:
    found = await said(program(tmp_path, LINES), None, "one", "two\nlines")
    assert found == ["Welcome.", "You said one in ab", "You said two lines in ab"]


async def test_a_program_that_ends_hangs_up(tmp_path: Path) -> None:
    found = await events(program(tmp_path, LINES), None, "bye")
    assert type(found[-1]).__name__ == "HungUp"


JSON_LINES = """
import json, sys
for line in sys.stdin:
    text = json.loads(line)["text"]
    for word in text.split():
        print(json.dumps({"piece": word + " "}), flush=True)
    print(json.dumps({"end": True}), flush=True)
"""


async def test_json_lines_up_to_the_one_that_ends_the_answer(tmp_path: Path) -> None:
    agent = program(tmp_path, JSON_LINES, body={"text": "{{message}}"}, answer="$.piece", done="$.end")
    found = await events(agent, "two words")
    assert [event.text for event in found] == ["two ", "words ", "two words "]
    assert isinstance(found[0], Delta)


TURNS = """
import json, sys
resumed = sys.argv[sys.argv.index("--resume") + 1] if "--resume" in sys.argv else None
print(json.dumps({"result": f"{sys.argv[-1]} {resumed}", "session_id": "s-9"}))
"""


async def test_a_process_for_each_turn_that_resumes_its_session(tmp_path: Path) -> None:
    """As coding agents do: no session at first, then the one that the answer names."""
    more = "--resume {{session}} -p {{message}}"
    agent = program(tmp_path, TURNS, more, answer="$.result", session="$.session_id")
    assert await said(agent, "it's; $HOME", "two") == ["it's; $HOME None", "two s-9"]


async def test_each_turn_may_read_its_line_from_stdin(tmp_path: Path) -> None:
    agent = program(tmp_path, "import sys; print('got', sys.stdin.read())", process="turn")
    assert await said(agent, "two\nlines") == ["got two\nlines"]


async def test_a_program_that_fails_is_the_agents_with_what_it_printed(tmp_path: Path) -> None:
    breaks = "import sys; print('no key', file=sys.stderr); sys.exit(3)"
    for more in ("", "{{message}}"):
        with pytest.raises(AgentFault, match="ended with code 3") as caught:
            await said(program(tmp_path, breaks, more), "hello")
        assert caught.value.proof == "no key"
    with pytest.raises(AgentFault, match="printed no answer"):
        await said(program(tmp_path, "", "{{message}}"), "hello")
    with pytest.raises(EnvironmentFault, match="cannot start"):
        await said(ProgramAdapter("exec:no-such-program", EndpointOptions()), "hello")


async def test_one_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    hangs = "import os, subprocess, sys, time\n"
    hangs += "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    hangs += "open('pids', 'w').write(f'{os.getpid()} {child.pid}'); time.sleep(60)"
    with pytest.raises(AgentFault, match="no whole answer"):
        await said(program(tmp_path, hangs), "hello", reply=2.0)
    for pid in (tmp_path / "pids").read_text().split():
        stat = Path(f"/proc/{pid}/stat")
        assert not stat.exists() or stat.read_text().split()[2] == "Z" or os.name != "posix"


def test_the_conversation_is_named(tmp_path: Path) -> None:
    agent = program(tmp_path, "", "--id {{conversation}}")
    assert agent.each_turn and not agent.speaks_first and CONVERSATION
