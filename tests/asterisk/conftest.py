"""A real Asterisk with SIP phones, and pbxtrack as a process of its own, for every test that asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pbxtrack.lab import Lab
from tests.asterisk.labs import fresh_name, up
from tests.asterisk.service import Pbxtrack


@pytest.fixture(scope="session")
def asterisk() -> Iterator[Lab]:
    """A lab of this test process's own; nothing of pbxtrack listens in it unless the test starts that."""
    with up(fresh_name(), "rootfs", attached=True, dial_timeout=3) as lab:
        yield lab


@pytest.fixture(scope="module")
def service(asterisk: Lab) -> Iterator[Pbxtrack]:
    """`pbxtrack serve` on a fresh database, with the site file beside this."""
    with Pbxtrack(asterisk) as service:
        yield service


@pytest.fixture
def pbxtrack(service: Pbxtrack) -> Pbxtrack:
    """The service, running, with an empty call log as far as this test can see."""
    service.begin()
    return service
