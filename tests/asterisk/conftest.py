"""A real Asterisk with SIP phones, for every test that asks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from pbxtrack.lab import Lab


@pytest.fixture(scope="session")
def asterisk() -> Iterator[Lab]:
    """A lab of this test process's own; nothing of pbxtrack listens in it unless the test starts that."""
    with Lab.up(f"t{uuid.uuid4().hex[:10]}", "rootfs", attached=True, dial_timeout=3) as lab:
        yield lab
