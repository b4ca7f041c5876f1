"""Files that the caller sends with a line: ``attachments:``."""

from __future__ import annotations

import base64
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from simulate.errors import InputError


@dataclass(frozen=True)
class Attachment:
    """An image or a file, read when it is first sent."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def media_type(self) -> str:
        """By the ending of its name."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    @cached_property
    def data(self) -> bytes:
        """Raises InputError where it cannot be read."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise InputError(
                f"this attachment cannot be read: {error.strerror or error}", where=str(self.path)
            ) from error

    @property
    def base64(self) -> str:
        return base64.b64encode(self.data).decode("ascii")

    @property
    def url(self) -> str:
        """As a ``data:`` URL."""
        return f"data:{self.media_type};base64,{self.base64}"

    @property
    def is_image(self) -> bool:
        return self.media_type.startswith("image/")
