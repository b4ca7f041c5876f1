"""OTLP → ``Span``: from JSON, from protobuf messages, and from the SDK's own spans. The only reader of OTLP.

Whichever way a span comes, it is the same ``Span``: the rules for ids, missing parents, times, statuses,
kinds and values are here once, and the three ways differ in spelling only.

JSON is read as real exporters write it: camelCase and snake_case, enums as numbers or names, 64-bit integers
as numbers or texts, ``instrumentationLibrarySpans`` of the years before 2022. Ids are hex as the OTLP
specification says; base64 is recognised (`base.hex_id`). The generic protobuf JSON readers corrupt ids
silently, which is why none is used here. Made for speed: see ``benchmarks/reading.py`` and ``capture.py``.
"""

from simulate.trace.otlp.decode.json_spans import from_json, json_attributes
from simulate.trace.otlp.decode.protobuf_spans import attributes, from_blocks, from_protobuf
from simulate.trace.otlp.decode.sdk_spans import from_sdk

__all__ = [
    "attributes",
    "from_blocks",
    "from_json",
    "from_protobuf",
    "from_sdk",
    "json_attributes",
]
