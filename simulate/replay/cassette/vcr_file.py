"""A plain vcrpy cassette, YAML or JSON, read by vcrpy itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from simulate.errors import FileProblems, InputError
from simulate.model.loading.yaml_reader import check_depth
from simulate.replay.cassette.interactions import record_of, response_loader
from simulate.replay.matching.recordings import HttpRecording, number
from simulate.replay.matching.request import HttpRequest
from simulate.replay.matching.rules import Rules


def load_vcr_file(path: Path, rules: Rules) -> list[HttpRecording]:
    """Its requests and responses; streams have no timing. InputError where it is not a vcrpy cassette."""
    # start-up time: vcrpy imports every HTTP client that it knows
    from vcr.persisters.filesystem import FilesystemPersister
    from vcr.serializers import jsonserializer, yamlserializer

    serializer = jsonserializer if path.suffix == ".json" else yamlserializer
    try:
        if serializer is yamlserializer:
            check_depth(path.read_bytes(), str(path))
        load: Any = getattr(FilesystemPersister, "load_cassette")  # noqa: B009 (it is untyped)
        read = load(path, serializer)
    except FileProblems:
        raise
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        lacks = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"this is neither a cassette folder nor a vcrpy file: {lacks}", where=str(path)
        ) from error
    recordings: list[HttpRecording] = []
    for index, (request, response) in enumerate(zip(read[0], read[1], strict=True)):
        try:
            recording = record_of(_request(request), rules)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputError(
                f"request {index + 1} is not of vcrpy's shape: {error}", where=str(path)
            ) from error
        recording.exact = ""  # vcrpy may have filtered the body that was really sent
        recording.place = f"{path.name} #{index + 1}"
        recording.start = recording.end = float(index)
        recording.load = response_loader(response, {}, path.parent)
        recordings.append(recording)
    number(recordings)
    return recordings


def _request(request: Any) -> HttpRequest:
    body = request.body
    if hasattr(body, "read"):
        body = body.read()
    elif body is not None and not isinstance(body, bytes):  # the pieces of an iterator
        body = b"".join(body)
    return HttpRequest(request.method, request.uri, request.headers, body or b"")
