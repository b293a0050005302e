"""Where no Asterisk can be fetched, the lab says why; a mirror that lacks the release is told from one that fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from pbxtrack.cli.lab import lab
from pbxtrack.errors import PbxtrackError
from pbxtrack.lab import Lab, rootfs


@contextmanager
def mirror(status: int) -> Iterator[str]:
    """A mirror that gives this answer to everything; its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *args: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/debian/"
        server.shutdown()
        thread.join()


@pytest.fixture
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(rootfs, "RETRIES", 0)
    return tmp_path


@pytest.mark.parametrize("status", [404, 403, 503])
def test_a_mirror_without_the_release_is_told_from_one_that_fails(
    nothing_fetched: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with mirror(status) as address:
        monkeypatch.setenv(rootfs.MIRROR_VARIABLE, address)
        with pytest.raises(PbxtrackError) as raised:
            rootfs.prepare("16", progress=lambda line: None)
    assert isinstance(raised.value, rootfs.ReleaseNotCarried) == (status == 404), raised.value
    assert "\n" not in str(raised.value)
    assert [path.name for path in (nothing_fetched / "pbxtrack").iterdir() if path.is_dir()] == []


def test_only_the_missing_release_has_an_exit_status_of_its_own(
    nothing_fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for status, code in ((404, 3), (503, 1)):
        with mirror(status) as address:
            monkeypatch.setenv(rootfs.MIRROR_VARIABLE, address)
            done = CliRunner().invoke(lab, ["fetch", "--asterisk", "16"])
        assert done.exit_code == code
    assert CliRunner().invoke(lab, ["fetch", "--asterisk", "15"]).exit_code == 2
    with pytest.raises(PbxtrackError, match="no Asterisk '15': 22 or 16"):
        Lab.up("unit", "rootfs", asterisk="15")


def test_a_mirror_that_does_not_answer_is_a_failure(nothing_fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mirror(404) as address:
        monkeypatch.setenv(rootfs.MIRROR_VARIABLE, address)
    with pytest.raises(PbxtrackError, match="cannot be fetched") as raised:
        rootfs.prepare("16", progress=lambda line: None)
    assert not isinstance(raised.value, rootfs.ReleaseNotCarried)


def test_each_asterisk_has_a_folder_of_its_own() -> None:
    assert rootfs.located("16").root != rootfs.located("22").root
