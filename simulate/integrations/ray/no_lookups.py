"""Ray asks the networks of three clouds in which of them it runs, also where its usage statistics are off."""

from __future__ import annotations

import contextlib
import importlib
import site
from collections.abc import Generator
from pathlib import Path
from typing import Any

from simulate.child_process import environment_set


@contextlib.contextmanager
def no_cloud_is_asked(folder: str) -> Generator[None]:
    """A Ray that is started inside asks none: it does so only where its cluster's file is missing from the
    home folder, which for that process of Ray's is ``folder``."""
    services: Any = importlib.import_module("ray._private.services")
    start = services.start_api_server
    Path(folder, "ray_bootstrap_config.yaml").touch()

    def started(*args: Any, **options: Any) -> Any:
        home = {"HOME": folder, "USERPROFILE": folder, "PYTHONUSERBASE": site.getuserbase()}
        with environment_set(home):
            return start(*args, **options)

    services.start_api_server = started
    try:
        yield
    finally:
        services.start_api_server = start
