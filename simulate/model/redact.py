"""What a recording hides."""

from __future__ import annotations

from simulate.model.base import Strict
from simulate.model.units import Flag


class Redact(Strict):
    """What is replaced in a recording; secrets always are."""

    personal: Flag = True
    """Personal data that the scenario itself does not state. False where the whole world is invented."""
