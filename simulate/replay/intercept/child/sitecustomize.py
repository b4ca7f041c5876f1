"""Imported by Python processes that an agent which is recorded or replayed starts: in a replay they reach
nothing, and what they ask for is kept or answered as in our own process."""

import os
import sys


def _place() -> str:
    """Where in the process's own code the attempt comes from."""
    frame = last = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        name = frame.f_code.co_filename
        if name != __file__:
            last = frame
            if "site-packages" not in name and "/lib/python" not in name and not name.startswith("<frozen"):
                break
        frame = frame.f_back  # type: ignore[assignment]
    return f"{os.path.basename(last.f_code.co_filename)}:{last.f_lineno} in {last.f_code.co_name}"


def _guard() -> None:
    allowed = set(filter(None, os.environ.get("SIMULATE_REPLAY_ALLOW", "").split(",")))
    log = os.environ.get("SIMULATE_REPLAY_LOG")
    here = {"localhost", "127.0.0.1", "::1"}
    busy: list[bool] = []

    def refuse(what: str) -> None:
        if log and not busy:
            busy.append(True)
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"{what} in a process of the agent's ({_place()})\n")
            busy.clear()
        raise ConnectionRefusedError(f"refused during replay: {what}")

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event == "socket.connect" and isinstance(args[1], tuple):
            host, port = str(args[1][0]), str(args[1][1])  # type: ignore[reportUnknownArgumentType]
            if f"{'127.0.0.1' if host in here else host}:{port}" not in allowed:
                refuse(f"connection to {host}:{port}")
        elif event == "socket.getaddrinfo":
            name = args[0].decode() if isinstance(args[0], bytes) else str(args[0] or "localhost")
            if name not in here and not any(one.rpartition(":")[0] == name for one in allowed):
                refuse(f"DNS look-up of {name}")

    sys.addaudithook(hook)


def _next() -> None:
    """Python imports one sitecustomize only; the one that it would have found without us follows here."""
    from importlib import machinery, util  # start-up time of processes that need no more than this file

    ours = os.path.dirname(os.path.abspath(__file__))
    spec = machinery.PathFinder.find_spec(
        "sitecustomize", [path for path in sys.path if os.path.abspath(path) != ours]
    )
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(util.module_from_spec(spec))


def _hand_over() -> None:
    """Let what this process asks for itself be recorded or answered."""
    import simulate_handover  # type: ignore[import-not-found]  # beside this file, which only it is for

    simulate_handover.begin()


if "SIMULATE_REPLAY_ALLOW" in os.environ:
    _guard()
if "SIMULATE_REPLAY_HANDOVER" in os.environ:
    _hand_over()
_next()
