"""Ray asks the networks of three clouds in which of them it runs, also where its usage statistics are off."""

from __future__ import annotations

import contextlib
import importlib
import os
import site
from collections.abc import Generator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def no_cloud_is_asked(folder: str) -> Generator[None]:
    """A Ray that is started inside asks none: it does so only where its cluster's file is missing from the
    home folder, which for that process of Ray's is ``folder``."""
    services: Any = importlib.import_module("ray._private.services")
    start = services.start_api_server
    Path(folder, "ray_bootstrap_config.yaml").touch()

    def started(*args: Any, **options: Any) -> Any:
        with _environment(HOME=folder, USERPROFILE=folder, PYTHONUSERBASE=site.getuserbase()):
            return start(*args, **options)

    services.start_api_server = started
    try:
        yield
    finally:
        services.start_api_server = start


@contextlib.contextmanager
def _environment(**values: str) -> Generator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
