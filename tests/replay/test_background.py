"""What an agent leaves running, or starts as a process of its own: recorded, answered, or stopped and named.

Each agent here runs in a process of its own, once recorded and once replayed, against a real server that
counts what reaches it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAD = """
import asyncio, atexit, functools, multiprocessing, os, shlex, subprocess, sys, threading, time
import httpx
from simulate.replay import record, replaying

BASE, FOLDER, MODE = sys.argv[1:]

def post(text):
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return httpx.post(BASE + "/v1/chat/completions", json=body, timeout=5).status_code

NODE = "fetch('%s/child').catch(error => process.exit(1))" % BASE

def script(text):
    path = os.path.join(os.path.dirname(FOLDER), "script.sh")
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path

CHILD = "import urllib.request as u; u.urlopen('%s/child', timeout=5)" % BASE
"""
TAIL = """
async def main():
    if MODE == "record":
        async with record(FOLDER):
            post("first")
            await agent()
    else:
        async with replaying(FOLDER) as player:
            post("first")
            await agent()
        print(player.report().verdict, player.report().passed, *player.report().refused, sep="\\n")

if __name__ == "__main__":
    asyncio.run(main())
"""


def ran(code: str, mode: str, server: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    script = folder / "agent.py"
    script.write_text(HEAD + code + TAIL)
    line = [sys.executable, str(script), server.base, str(folder / "c"), mode]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


ANSWERED = {
    "a thread after the last answer": """
async def agent():
    threading.Thread(target=lambda: (time.sleep(0.2), post("later")), daemon=True).start()
""",
    "a task after the last answer": """
async def agent():
    async def later():
        await asyncio.sleep(0.2)
        async with httpx.AsyncClient() as client:
            body = {"model": "m", "messages": [{"role": "user", "content": "later"}]}
            await client.post(BASE + "/v1/chat/completions", json=body)
    agent.kept = asyncio.create_task(later())
""",
    "a timer and a pool": """
async def agent():
    from concurrent.futures import ThreadPoolExecutor
    agent.pool = ThreadPoolExecutor(1)
    threading.Timer(0.1, lambda: agent.pool.submit(post, "later")).start()
""",
}


@pytest.mark.parametrize("how", ANSWERED)
def test_what_comes_after_the_last_answer_is_recorded_and_played(
    how: str, server: Any, tmp_path: Path
) -> None:
    first = ran(ANSWERED[how], "record", server, tmp_path)
    assert first.returncode == 0, first.stderr
    assert len(server.hits) == 2
    again = ran(ANSWERED[how], "replay", server, tmp_path)
    assert again.stdout == "identical\nTrue\n", again.stdout + again.stderr
    assert len(server.hits) == 2


NAMED = {
    "Popen": "subprocess.run([sys.executable, '-c', CHILD])",
    "python -I": "subprocess.run([sys.executable, '-I', '-c', CHILD])",
    "python -S": "subprocess.run([sys.executable, '-S', '-c', CHILD])",
    "os.system": 'os.system(f"{sys.executable} -c {shlex.quote(CHILD)}")',
    "posix_spawn": "os.waitpid(os.posix_spawn(sys.executable, [sys.executable, '-c', CHILD], os.environ), 0)",
    "curl": "subprocess.run(['curl', '-s', '--noproxy', '*', BASE + '/child'])",
    "curl in a shell": 'os.system(f"true && curl -s --noproxy 127.0.0.1 {BASE}/child")',
    "curl in a script": "subprocess.run([script('#!/bin/sh\\ncurl -s --noproxy \"*\" ' + BASE + '/child')])",
    "python -I in a shell": 'os.system(f"{sys.executable} -I -c {shlex.quote(CHILD)}")',
    "Node": "subprocess.run(['node', '-e', NODE])",
    "Node in a shell": 'os.system("node -e " + shlex.quote(NODE))',
    "Node in a script": "subprocess.run([script('#!/bin/sh\\nnode -e ' + shlex.quote(NODE))])",
    "fork": "run('fork')",
    "spawn": "run('spawn')",
    "forkserver": "run('forkserver')",
}
RUN = """
def in_child():
    post("child")

def run(method):
    process = multiprocessing.get_context(method).Process(target=in_child)
    process.start()
    process.join()

async def agent():
    if MODE == "replay":
        try:
            %s
        except OSError:
            pass
"""


@pytest.mark.parametrize("how", NAMED)
def test_processes_reach_nothing_and_are_named(how: str, server: Any, tmp_path: Path) -> None:
    if "Node" in how and shutil.which("node") is None:
        pytest.skip("no node here: install Node.js")
    code = RUN % NAMED[how]
    assert ran(code, "record", server, tmp_path).returncode == 0
    server.hits.clear()
    again = ran(code, "replay", server, tmp_path)
    assert server.hits == []
    verdict, passed, *refused = again.stdout.splitlines()
    assert passed == "False" and refused, again.stdout + again.stderr
    assert verdict == "identical"


LATE = {
    "atexit": "async def agent():\n    atexit.register(post, 'late')\n",
    "a slow thread": """
async def agent():
    def work():
        time.sleep(3)
        print(post("late"), file=sys.stderr)
    threading.Thread(target=work).start()
""",
}


@pytest.mark.parametrize("how", LATE)
def test_until_the_process_ends_nothing_gets_out_and_all_is_told(
    how: str, server: Any, tmp_path: Path
) -> None:
    first = ran(LATE[how], "record", server, tmp_path)
    assert "is in no recording" in first.stderr and first.returncode == 0
    server.hits.clear()
    again = ran(LATE[how], "replay", server, tmp_path)
    assert server.hits == [] and "was refused" in again.stderr, again.stderr


def test_a_fork_that_asks_is_told_while_recording(server: Any, tmp_path: Path) -> None:
    code = (RUN % "run('fork')").replace('MODE == "replay"', "True")
    first = ran(code, "record", server, tmp_path)
    assert first.returncode != 0 and "cannot be recorded" in first.stderr
    assert not (tmp_path / "c").exists() and (tmp_path / "c.partial").exists()
