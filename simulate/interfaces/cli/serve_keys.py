"""``simulate serve keys``: who may come in."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from simulate.interfaces.cli import say
from simulate.interfaces.cli.serve import add_store_option, open_store


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-verbs."""
    verbs = parser.add_subparsers(dest="keys_verb", metavar="add|list|revoke", required=True)
    add = verbs.add_parser("add", help="make a key and print it, once")
    add.add_argument("name", metavar="NAME", help="whose it is, or what for")
    add.add_argument(
        "--role", choices=("send", "read", "manage"), required=True,
        help="send: exporters; read: people; manage: both, and removing",
    )  # fmt: skip
    add.add_argument("--project", default="default", metavar="NAME", help="the project whose traces it opens")
    add_store_option(add)
    add_store_option(verbs.add_parser("list", help="every key that is good: its id, role, project and name"))
    revoke = verbs.add_parser("revoke", help="let a key open nothing any more")
    revoke.add_argument("id", metavar="ID")
    add_store_option(revoke)


def execute(args: argparse.Namespace) -> int:
    """Do what the sub-verb says."""
    store: Any = open_store(args.store)
    from simulate.server.store.access_keys import list_keys, make_key, revoke_key

    try:
        if args.keys_verb == "add":
            print(make_key(store, args.project, args.role, args.name))
            say("this key is not shown again; the store keeps its hash", file=sys.stderr)
            store.audit("command line", "make a key", f"{args.role} for {args.project}: {args.name}")
        elif args.keys_verb == "revoke":
            revoke_key(store, args.id)
            store.audit("command line", "revoke a key", args.id)
            say(f"{args.id} is revoked", file=sys.stderr)
        else:
            for key in list_keys(store):
                say(f"{key.id}  {key.role:<6}  {key.project}  {key.name}")
    finally:
        store.close()
    return 0
