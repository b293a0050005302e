"""Labs of the suite: all have the Asterisk that ``PBXTRACK_TEST_ASTERISK`` names, 22 unless it is set."""

from __future__ import annotations

import os
import uuid
from typing import Any

from pbxtrack.lab import Lab, versions

ASTERISK = os.environ.get("PBXTRACK_TEST_ASTERISK", versions.DEFAULT)


def fresh_name() -> str:
    """A name that no other lab has."""
    return f"t{uuid.uuid4().hex[:10]}"


def up(name: str, runtime: str | None = None, **options: Any) -> Lab:
    """Start a lab; see :meth:`Lab.up`."""
    return Lab.up(name, runtime, asterisk=ASTERISK, **options)
