"""Imported by Python processes that a replayed agent starts: they reach nothing either."""

import os
import sys


def _guard() -> None:
    allowed = set(filter(None, os.environ.get("SIMULATE_REPLAY_ALLOW", "").split(",")))

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event == "socket.connect" and isinstance(args[1], tuple):
            host, port = str(args[1][0]), str(args[1][1])  # type: ignore[reportUnknownArgumentType]
            here = host in {"localhost", "127.0.0.1", "::1"}
            if f"{'127.0.0.1' if here else host}:{port}" not in allowed:
                raise ConnectionRefusedError(f"refused during replay: connection to {host}:{port}")
        elif event == "socket.getaddrinfo" and str(args[0]) not in {"localhost", "127.0.0.1", "::1", "None"}:
            raise ConnectionRefusedError(f"refused during replay: DNS look-up of {args[0]}")

    sys.addaudithook(hook)


if "SIMULATE_REPLAY_ALLOW" in os.environ:
    _guard()
