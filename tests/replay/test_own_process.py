"""Agents in Python processes of their own, which ask services past the endpoint of their model: recorded,
answered, and a change named; counted where they would arrive."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulate.integrations.livekit.server import find_server
from simulate.replay import Cassette
from simulate.replay.intercept import children, kernel

HERE = Path(__file__).parent / "own_process"
SCENARIO = """
name: own
script: [{says: hello}, {says: and you}]
expect: [{said: {contains: You said and you}}]
"""

CALL = """
name: own
medium: voice
speaks_first: agent
script: [{says: "I would like a table for two, please."}]
expect: [{said: {contains: number}}]
limits: {time: 40 s}
"""


class Project:
    """A project with one agent, and the service that it asks."""

    def __init__(self, folder: Path, port: str) -> None:
        self.folder, self.service = folder, f"127.0.0.1:{port}"
        self.hits = folder / "hits"
        shutil.copy(HERE / "agent.py", folder / "agent.py")
        (folder / "own.yaml").write_text(SCENARIO)

    def agent(self, kind: str) -> None:
        line = f"{sys.executable} agent.py"
        web = f'address = "http://127.0.0.1:{{port}}/v1"\ncommand = "{line} web {{port}} {self.service}"'
        told = web if kind == "web" else f'address = "exec:{line} lines {self.service}"'
        (self.folder / "pyproject.toml").write_text(f"[tool.simulate.agents.a]\n{told}\n")

    def node(self) -> None:
        """One in Node instead."""
        shutil.copy(HERE / "agent.mjs", self.folder / "agent.mjs")
        told = f'address = "http://127.0.0.1:{{port}}/v1"\ncommand = "node agent.mjs {{port}} {self.service}"'
        (self.folder / "pyproject.toml").write_text(f"[tool.simulate.agents.a]\n{told}\n")

    def worker(self) -> None:
        """A LiveKit worker instead, in one call."""
        shutil.copy(HERE / "worker.py", self.folder / "worker.py")
        told = f'env = {{SERVICE = "{self.service}"}}\nagents.a.address = "livekit:worker.py"'
        (self.folder / "pyproject.toml").write_text(f"[tool.simulate]\n{told}\n")
        (self.folder / "own.yaml").write_text(CALL)

    def simulate(self, *words: str) -> tuple[int, str, list[str]]:
        """Exit code, what was printed, and what arrived at the service meanwhile."""
        self.hits.write_text("")
        line = [sys.executable, "-m", "simulate", "run", "own.yaml", "--agent", "a", "--out", "out", *words]
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        done = subprocess.run(line, cwd=self.folder, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr, self.hits.read_text().split()

    def program(self, code: str) -> None:
        """An agent in one file instead; `SERVICE` is the service's address there."""
        (self.folder / "program.py").write_text(f"SERVICE = {self.service!r}\n{code}")
        told = f'address = "exec:{sys.executable} program.py"'
        (self.folder / "pyproject.toml").write_text(f"[tool.simulate.agents.a]\n{told}\n")

    def answers(self) -> list[str]:
        (path,) = self.folder.glob("out/*/outcome.json")
        said = json.loads(path.read_text())["conversation"]["utterances"]
        return [one["text"] for one in said if one["speaker"] == "agent"]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    line = [sys.executable, str(HERE / "service.py"), str(tmp_path / "hits")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        try:
            yield Project(tmp_path, service.stdout.readline().strip())
        finally:
            service.kill()


@pytest.mark.parametrize("kind", ["web", "lines"])
def test_what_an_agents_own_process_asks_for_is_recorded_and_answered(kind: str, project: Project) -> None:
    project.agent(kind)
    code, told, arrived = project.simulate("--record", "cassettes")
    assert code == 0, told
    assert arrived.count("speak") == 2 and len(arrived) == (6 if kind == "web" else 4)
    answers = project.answers()
    cassette = Cassette.load(project.folder / "cassettes/own")
    assert len(cassette.streams) == 2 and [one.turn for one in cassette.streams] == [1, 2]
    assert all(one.own_process for one in (*cassette.streams, *cassette.http))
    code, told, arrived = project.simulate("--replay", "cassettes")
    assert (code, arrived, project.answers()) == (0, [], answers), told
    if kind == "lines":
        return
    agent = project.folder / "agent.py"
    agent.write_text(agent.read_text().replace('KIND = "text"', 'KIND = "words"'))
    code, told, arrived = project.simulate("--replay", "cassettes")
    assert (code, arrived) == (1, []), told
    assert "turn 1" in told and "$.words: new: 'hello'" in told, told


APART = """
import random, sys, uuid
from multiprocessing import get_context
from subprocess import PIPE, Popen
from urllib.request import urlopen

WORKER = '''
import sys
from urllib.request import urlopen
for line in sys.stdin:
    print(urlopen(line.strip()).read().decode(), flush=True)
'''

def drawn(_):
    urlopen(f"http://{SERVICE}/shop/2").read()
    return str(uuid.uuid4())

workers = [Popen([sys.executable, "-c", WORKER], stdin=PIPE, stdout=PIPE, text=True) for _ in range(2)]
for line in sys.stdin:
    urlopen(f"http://{SERVICE}/shop/{random.randrange(10**9)}").read()
    with get_context("fork").Pool(1) as pool:
        ids = [drawn(0), *pool.map(drawn, range(2))]
    assert len({*ids}) == 3
    for worker in workers:
        worker.stdin.write(f"http://{SERVICE}/shop/1\\n")
        worker.stdin.flush()
    found = sorted(worker.stdout.readline().strip() for worker in workers)
    print(f"You said {line.strip()} {ids} {found}", flush=True)
"""


def test_several_processes_draw_as_recorded_and_are_answered_each_once(project: Project) -> None:
    """What they draw is drawn again, by no two alike; equal requests of two get each an answer of its own."""
    project.program(APART)
    code, told, arrived = project.simulate("--record", "cassettes")
    assert (code, len(arrived)) == (0, 12), told
    answers = project.answers()
    code, told, arrived = project.simulate("--replay", "cassettes")
    assert (code, arrived, project.answers()) == (0, [], answers), told


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here: install Node.js")
def test_what_an_agent_in_node_asks_for_is_recorded_and_answered(project: Project) -> None:
    project.node()
    code, told, arrived = project.simulate("--record", "cassettes")
    assert (code, arrived) == (0, ["shop"] * 10), told
    answers = project.answers()
    cassette = Cassette.load(project.folder / "cassettes/own")
    assert {one.uri.split("/")[2] for one in cassette.http} == {project.service}
    code, told, arrived = project.simulate("--replay", "cassettes")
    assert (code, arrived, project.answers()) == (0, [], answers), told
    agent = project.folder / "agent.mjs"
    agent.write_text(agent.read_text().replace("q=a%20b", "q=b"))
    code, told, arrived = project.simulate("--replay", "cassettes")
    assert (code, arrived) == (1, []) and "q" in told and "turn 1" in told, told


OTHERS = """
service=$1 python=$2
past() {
  exec 3<>/dev/tcp/${service%:*}/${service#*:} && printf 'GET /shop/1 HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3
  exec 4<>/dev/udp/127.0.0.1/4
  echo hello >&4
  $python -I -S -c "import urllib.request as u; u.urlopen('http://$service/shop/2').read()"
}
while read -r line; do
  past >/dev/null 2>&1
  echo "You said $line"
done
"""


@pytest.mark.skipif(not kernel.can_ask(), reason="the kernel's guard needs Linux on x86_64 or arm64")
def test_what_other_programs_reach_for_is_told_and_in_a_replay_stopped(project: Project) -> None:
    """A shell's own sockets, TCP and UDP, and a Python that loads nothing of ours."""
    (project.folder / "agent.sh").write_text(OTHERS)
    told = f'address = "exec:bash agent.sh {project.service} {sys.executable}"'
    (project.folder / "pyproject.toml").write_text(f"[tool.simulate.agents.a]\n{told}\n")
    code, told, arrived = project.simulate("--record", "cassettes")
    assert (code, arrived) == (0, ["shop"] * 4), told
    unseen = Cassette.load(project.folder / "cassettes/own").manifest["unseen"]
    assert [one.split(" in a process")[0] for one in unseen] == [
        f"connection to {project.service}",
        "connection to 127.0.0.1:4",
    ]
    assert f"connection to {project.service} in a process of the agent's" in told, told
    code, told, arrived = project.simulate("--replay", "cassettes")
    assert (code, arrived) == (1, []), told
    for place in (
        f"{project.service} in a process of the agent's (bash",
        "127.0.0.1:4 ",
        f"({sys.executable} -I",
    ):
        assert place in told, told
    with (project.folder / "pyproject.toml").open("a") as file:
        file.write(f"[tool.simulate.replay]\nallow = ['{project.service}', '127.0.0.1:4']\n")
    code, told, arrived = project.simulate("--replay", "cassettes")
    assert (code, len(arrived)) == (0, 4), told


@pytest.mark.skipif(find_server() is None, reason="simulate livekit install brings a livekit-server")
@pytest.mark.alone
@pytest.mark.timeout(300)
def test_a_livekit_worker_is_recorded_and_replayed(project: Project) -> None:
    """The room is real; voice, ears and shop answer from the cassette."""
    project.worker()
    code, told, arrived = project.simulate("--record", "cassettes")
    assert code == 0 and sorted(arrived) == ["ears", "shop", "voice", "voice"], told
    cassette = Cassette.load(project.folder / "cassettes/own")
    assert [one.own_process for one in (*cassette.streams, *cassette.http)] == [True] * 4
    answers = project.answers()
    code, told, arrived = project.simulate("--replay", "cassettes")
    assert (code, arrived, project.answers()) == (0, [], answers), told


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here: install Node.js")
def test_a_request_that_is_let_past_keeps_its_body() -> None:
    asks = """
    const { createServer } = require("http")
    createServer((asked, answer) => asked.pipe(answer)).listen(0, "127.0.0.1", async function () {
      process.env.SIMULATE_REPLAY_PAST = `127.0.0.1:${this.address().port}`
      require(process.argv[1])
      const url = `http://${process.env.SIMULATE_REPLAY_PAST}/`
      console.log(await (await fetch(new Request(url, { method: "POST", body: "hello" }))).text())
      process.exit()
    })"""
    script = Path(children.__file__).parent / "child" / "outgoing.cjs"
    done = subprocess.run(["node", "-e", asks, str(script)], capture_output=True, text=True, timeout=30)
    assert done.stdout == "hello\n", done.stderr
