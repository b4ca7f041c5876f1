"""``simulate serve``: a server that keeps the traces of every day. One module a sub-verb."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib
import sys
from pathlib import Path

from simulate import stopping
from simulate.errors import EnvironmentFault
from simulate.interfaces.cli import say
from simulate.interfaces.cli.verbs import add_verbs

SUB_VERBS = {
    "import": "bring trace files and runs that are there into a store or to a server",
    "keys": "make, list or revoke the keys by which programs and people come in",
    "forget": "remove every trace of a person",
    "export": "write what a store knows of its traces as Parquet",
}
PORT = 4318
"""Where OTLP over HTTP is at home."""


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """``--store``, for every sub-verb."""
    parser.add_argument(
        "--store", default="sqlite:///.simulate/traces.db", metavar="URL",
        help="sqlite:///FILE (default: .simulate/traces.db) or postgresql://USER@HOST/NAME",
    )  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the server itself, and the sub-verbs."""
    add_store_option(parser)
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"default {PORT}; 0: a free one")
    parser.add_argument(
        "--grpc-port", type=int, metavar="N",
        help="take OTLP over gRPC in, too, at this port (4317 is usual); needs the extra grpc",
    )  # fmt: skip
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="where to listen (default: this machine alone); any other address demands keys",
    )  # fmt: skip
    parser.add_argument("--demand-keys", action="store_true", help="demand a key on this machine, too")
    parser.add_argument(
        "--config", type=Path, metavar="FILE",
        help="what to keep, how long, what to score and when to alert: see docs/server.md",
    )  # fmt: skip
    parser.add_argument(
        "--quiet", type=float, default=2.0, metavar="SECONDS",
        help="a trace is complete when no span came for so long (default 2); later spans are added to it",
    )  # fmt: skip
    add_verbs(
        parser, SUB_VERBS,
        lambda name: importlib.import_module(f"simulate.interfaces.cli.serve_{name}"),
        metavar="SUB-VERB",
    )  # fmt: skip


def open_store(url: str) -> object:
    """The store of ``--store``. Raises MissingExtra where the packages for it are not installed."""
    from simulate.errors import MissingExtra

    try:
        from simulate.server.store import Store
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("sqlalchemy", "alembic", "jinja2"):
            raise MissingExtra("simulate serve", "server") from error
        raise
    return Store(url)


def collect_garbage_seldom() -> None:
    """For processes that read spans all day: those hold no circles, and looking for some takes a seventh of
    the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def execute(args: argparse.Namespace) -> int:
    """Serve until told to end."""
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_serve(args))
    say("stopped; what was acknowledged is kept", file=sys.stderr)
    return 0


async def _serve(args: argparse.Namespace) -> None:
    store = open_store(args.store)
    collect_garbage_seldom()
    from simulate.cloud_protocol.service import CloudService
    from simulate.model.loading.project import Project
    from simulate.resources import Resources
    from simulate.server.app import serving
    from simulate.server.settings import ServerSettings
    from simulate.server.store import Store

    assert isinstance(store, Store)
    settings = ServerSettings() if args.config is None else ServerSettings.load(args.config)
    project = Project.find(Path.cwd())
    judge = None if settings.judge is None else Resources(project, []).judge
    try:
        async with serving(
            store, settings, port=args.port, host=args.host, demand_keys=args.demand_keys, quiet=args.quiet,
            cloud=CloudService(project), grpc_port=args.grpc_port, judge=judge,
        ) as context:  # fmt: skip
            with stopping.cancels_this_task():
                say(
                    f"{context.address}  (traces are kept in {store.engine.url.render_as_string()})",
                    flush=True,
                )
                say(f"export OTEL_EXPORTER_OTLP_ENDPOINT={context.address}", flush=True)
                if context.grpc_address:
                    say(f"{context.grpc_address}  (OTLP over gRPC)", flush=True)
                await asyncio.Event().wait()
    except OSError as error:
        raise EnvironmentFault(
            f"cannot listen on {args.host}:{args.port}: {error.strerror}", hint="choose another --port"
        ) from error
    finally:
        store.close()
