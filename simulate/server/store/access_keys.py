"""Keys by which programs and people come in. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import func, insert, select, update

from simulate.errors import InputError
from simulate.server.store.schema import keys
from simulate.server.store.store import Store

ROLES = ("send", "read", "manage")
"""Each may do what those before it may, but for ``send``, which may only send."""
_PREFIX = "sim_"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """Who comes in, as far as the server needs to know."""

    id: str
    project: str
    role: str
    name: str

    def may(self, role: str) -> bool:
        """Whether this key is good for what needs ``role``."""
        if role == "send":
            return self.role in ("send", "manage")
        return ROLES.index(self.role) >= ROLES.index(role)


def make_key(store: Store, project: str, role: str, name: str) -> str:
    """A new key, which is never shown again. Raises InputError for a role that there is not."""
    if role not in ROLES:
        raise InputError(f"{role!r} is not a role", hint=f"roles are {', '.join(ROLES)}")
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    made = f"{_PREFIX}{key_id}_{secret}"
    row = {
        "id": key_id, "hash": _hash(made), "project": project, "role": role, "name": name,
        "created_ns": time.time_ns(),
    }  # fmt: skip
    with store.write() as connection:
        connection.execute(insert(keys).values(row))
    return made


def find_key(store: Store, given: str) -> AccessKey | None:
    """The key that was given; None where it is none of ours, or was revoked."""
    key_id = given.removeprefix(_PREFIX).partition("_")[0]
    with store.read() as connection:
        kept = connection.execute(select(keys.c.hash).where(keys.c.id == key_id)).scalar()
    if kept is None or not secrets.compare_digest(kept, _hash(given)):
        return None
    return key_by_id(store, key_id)


def key_by_id(store: Store, key_id: str) -> AccessKey | None:
    """A key that is good, for somebody who has shown it before; None where it was revoked."""
    query = select(keys.c.id, keys.c.project, keys.c.role, keys.c.name)
    with store.read() as connection:
        row = connection.execute(query.where(keys.c.id == key_id, keys.c.revoked_ns.is_(None))).first()
    return None if row is None else AccessKey(*row)


def revoke_key(store: Store, key_id: str) -> None:
    """Let a key open nothing any more. Raises InputError for one that there is not."""
    with store.write() as connection:
        done = connection.execute(
            update(keys)
            .where(keys.c.id == key_id, keys.c.revoked_ns.is_(None))
            .values(revoked_ns=time.time_ns())
        )
    if not done.rowcount:
        raise InputError(f"there is no key {key_id}", hint="simulate serve keys list shows them")


def list_keys(store: Store) -> list[AccessKey]:
    """The keys that are good, by their age."""
    query = select(keys.c.id, keys.c.project, keys.c.role, keys.c.name)
    with store.read() as connection:
        rows = connection.execute(query.where(keys.c.revoked_ns.is_(None)).order_by(keys.c.created_ns))
        return [AccessKey(*row) for row in rows]


def has_keys(store: Store) -> bool:
    """Whether anybody could come in by a key."""
    with store.read() as connection:
        query = select(func.count()).select_from(keys).where(keys.c.revoked_ns.is_(None))
        return bool(connection.execute(query).scalar_one())


def _hash(key: str) -> str:
    # the key itself is random and long: nothing is gained by a slow hash
    return hashlib.sha256(key.encode()).hexdigest()
