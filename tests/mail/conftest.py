"""A site with a mailbox and a channel's address, a server for its mail, and the relay between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pbxtrack.storage.database import Database
from tests.mail.peers import RelayProcess, Sink
from tests.mail.shop import put_shop


@pytest.fixture
def sink() -> Iterator[Sink]:
    """The upstream."""
    with Sink() as server:
        yield server


@pytest.fixture
def relay(database: Database, tmp_path: Path, sink: Sink) -> Iterator[RelayProcess]:
    """The relay; it does not run yet."""
    put_shop(database)
    process = RelayProcess(database, tmp_path, sink.port)
    yield process
    process.kill()
