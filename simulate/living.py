"""Objects that others made in this process, found by their class."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any


def living(*kinds: type) -> Iterator[Any]:
    """The objects of these classes and of their subclasses, except those that are frozen (`gc.freeze`)."""
    wanted = set[type]()
    found = list(kinds)
    while found:
        kind = found.pop()
        if kind not in wanted:
            wanted.add(kind)
            found += kind.__subclasses__()
    # an object refers to its class, and a loop over all objects takes four times as long; not isinstance(),
    # which asks lazy proxies for __class__, so that some of them import or connect
    return (one for one in gc.get_referrers(*wanted) if type(one) in wanted)
