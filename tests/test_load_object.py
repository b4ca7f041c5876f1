"""One loader for agents, bots, checks and evaluators."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SHARE_A_NAME = """
import sys
from pathlib import Path
from simulate.load_object import load_object

root = Path(sys.argv[1])
for target in sys.argv[2:]:
    print(load_object(target, target, root).__module__ == "agents", load_object(target, target, root)())
print(sys.modules["agents"].WHO)
"""


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_and_a_module_of_one_name_do_not_get_into_each_others_way(tmp_path: Path, order: int) -> None:
    """The modules' own imports see the module, whichever of the two was loaded first."""
    (tmp_path / "voice").mkdir()
    (tmp_path / "voice" / "agents.py").write_text(
        "import agents\nWHO = 'voice'\ndef bot(): return WHO, agents.WHO\n"
    )
    (tmp_path / "agents.py").write_text("WHO = 'text'\ndef agent(): return WHO\n")
    targets = ["voice/agents.py:bot", "agents:agent"][::order]
    line = [sys.executable, "-c", SHARE_A_NAME, str(tmp_path), *targets]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[:2] == ["False ('voice', 'text')", "True text"][::order]
    assert told[2] == "text"


def test_a_module_that_another_one_hides_is_refused(tmp_path: Path) -> None:
    """Python would give the one that is imported already, and the wrong agent would be tested."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "hidden_agents.py").write_text(f"def agent(): return {folder!r}\n")
    script = """
import sys
from pathlib import Path
from simulate.errors import AddressError
from simulate.load_object import load_object

one, two = (Path(sys.argv[1]) / name for name in ("one", "two"))
print(load_object("hidden_agents:agent", "a", one)(), load_object("hidden_agents:agent", "a", one)())
try:
    load_object("hidden_agents:agent", "python:hidden_agents:agent", two)
except AddressError as error:
    print(error.hint)
print(load_object("hidden_agents.py:agent", "a", two)())
"""
    line = [sys.executable, "-c", script, str(tmp_path)]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[0] == "one one"
    assert "hidden_agents.py:name" in told[1]
    assert told[2] == "two"
