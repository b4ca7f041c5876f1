"""A test of a trace: the scenario, and the cassette that answers it, in one zip."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

from simulate.masking import without_secrets
from simulate.model.file_names import slug
from simulate.replay.from_trace import cassette_of
from simulate.replay.matching.rules import default_rules
from simulate.replay.scenario_draft import scenario_from
from simulate.trace.span import Trace


def archive_of(trace: Trace, name: str) -> bytes:
    """``scenarios/NAME.yaml`` and ``scenarios/cassettes/NAME/``, to be unpacked in a project. Raises
    NotReplayable, an InputError, where the trace does not say what was said."""
    title = without_secrets(" ".join(name.split()))[:80] or "a trace"
    cassette = cassette_of(trace, rules=default_rules(), partial=True)
    cassette.manifest["scenario"] = title
    made = io.BytesIO()
    with (
        tempfile.TemporaryDirectory() as scratch,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        folder = cassette.save(Path(scratch) / slug(title))
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(path, f"scenarios/cassettes/{folder.name}/{path.relative_to(folder)}")
        file = f"scenarios/{slug(title).replace('-', '_')}.yaml"
        archive.writestr(file, scenario_from(cassette, title))
    return made.getvalue()
