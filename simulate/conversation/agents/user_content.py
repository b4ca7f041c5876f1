"""A caller's line with its files, in the shape of each model protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulate.model.attachment import Attachment

_SOUNDS = {"audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/wav": "wav"}


def chat_content(text: str, attachments: Sequence[Attachment]) -> Any:
    """The content of a message of OpenAI's chat completions."""
    if not attachments:
        return text
    return [{"type": "text", "text": text}, *map(_chat_part, attachments)]


def _chat_part(file: Attachment) -> dict[str, Any]:
    if file.is_image:
        return {"type": "image_url", "image_url": {"url": file.url}}
    if (sound := _SOUNDS.get(file.media_type)) is not None:
        return {"type": "input_audio", "input_audio": {"data": file.base64, "format": sound}}
    return {"type": "file", "file": {"filename": file.name, "file_data": file.url}}


def responses_content(text: str, attachments: Sequence[Attachment]) -> Any:
    """The content of an input of OpenAI's Responses API."""
    if not attachments:
        return text
    return [{"type": "input_text", "text": text}, *map(_responses_part, attachments)]


def _responses_part(file: Attachment) -> dict[str, Any]:
    if file.is_image:
        return {"type": "input_image", "image_url": file.url, "detail": "auto"}
    return {"type": "input_file", "filename": file.name, "file_data": file.url}


def anthropic_content(text: str, attachments: Sequence[Attachment]) -> Any:
    """The content of a message of Anthropic's Messages API, which wants files before the text."""
    if not attachments:
        return text
    return [*map(_anthropic_part, attachments), {"type": "text", "text": text}]


def _anthropic_part(file: Attachment) -> dict[str, Any]:
    if file.media_type == "text/plain":
        source = {"type": "text", "media_type": "text/plain", "data": file.data.decode("utf-8", "replace")}
    else:
        source = {"type": "base64", "media_type": file.media_type, "data": file.base64}
    if file.is_image:
        return {"type": "image", "source": source}
    return {"type": "document", "title": file.name, "source": source}
