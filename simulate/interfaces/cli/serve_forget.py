"""``simulate serve forget``: a person out of a store."""

from __future__ import annotations

import argparse
from typing import Any

from simulate.interfaces.cli import say
from simulate.interfaces.cli.serve import add_store_option, open_store


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--user", required=True, metavar="ID", help="the person's user id, as your agent sent it"
    )
    add_store_option(parser)


def execute(args: argparse.Namespace) -> int:
    """Exit code 0, also where there was nothing of this person."""
    store: Any = open_store(args.store)
    from simulate.server.assembler import put_away_all
    from simulate.server.store.retention import forget_user

    try:
        put_away_all(store)  # or what waits would become a trace afterwards
        gone = forget_user(store, args.user, store.names)
        store.audit("command line", "forget", "a user")
    finally:
        store.close()
    say(
        f"{gone} traces of this user are removed, with their feedback and sums. Sums that name nobody stay, "
        "and so do traces of others that mention the user in words."
    )
    return 0
