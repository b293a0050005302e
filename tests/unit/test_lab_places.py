"""Where a lab lives: addresses, folders, processes, configuration."""

import os
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab import config, paths, registry
from pbxtrack.lab.addresses import Addresses, choose, split, taken
from pbxtrack.lab.processes import Process, identify, spawn
from pbxtrack.lab.versions import VERSIONS


def test_the_default_lab_is_where_the_documentation_says() -> None:
    addresses = Addresses("127.0.0.1")

    assert (addresses.sip, addresses.ami) == ("127.0.0.1:5060", "127.0.0.1:5038")
    assert (addresses.agi, addresses.api) == ("127.0.0.1:4573", "127.0.0.1:8080")
    assert addresses.lines == {"sales": "127.0.0.1:5071", "support": "127.0.0.1:5072"}


def test_another_lab_avoids_the_default_the_reserved_and_the_occupied() -> None:
    first = choose("one", set())
    second = choose("one", {first.host})
    with socket.socket() as listener:
        listener.bind(split(second.ami))
        listener.listen()
        assert "AMI" in (taken(second) or "")
        third = choose("one", {first.host})

    assert len({"127.0.0.1", first.host, second.host, third.host}) == 4


@pytest.mark.parametrize("name", ["", "Big", "a/b", "..", "-x", "x" * 41, "a b"])
def test_a_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(PbxtrackError, match="cannot be a lab's name"):
        registry.folders(name)


def test_a_process_is_stopped_once_and_a_stranger_never(tmp_path: Path) -> None:
    child = spawn("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "out", tmp_path)
    assert child.alive()
    stranger = Process("stranger", child.pid, child.started - 1)
    stranger.kill()
    assert not stranger.alive()
    assert child.alive()
    child.stop()
    assert not child.alive()
    child.stop()


def test_a_process_that_will_not_end_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    child = spawn("stubborn", [sys.executable, "-c", code], tmp_path / "out", tmp_path)
    while not (tmp_path / "out").read_text():
        pass
    child.stop(patience=0.1)
    assert not child.alive()


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not identify("gone", child.pid).alive()
    child.wait()


@pytest.mark.parametrize("asterisk", VERSIONS)
def test_the_configuration_is_whole_and_private(tmp_path: Path, asterisk: str) -> None:
    folders = config.Folders(tmp_path / "lab")
    secrets = config.Secrets(ami="s3cret-s3cret", observer="0bserver")
    addresses = Addresses("127.0.9.9")
    config.write(
        folders, addresses, secrets, asterisk=asterisk, modules=Path("/modules"), data=Path("/data"), dial_timeout=7
    )

    files = {path.name: path.read_text() for path in folders.etc.rglob("*.conf")}
    assert not [name for name, text in files.items() if "@SIP" in text or "@ETC" in text or "@DIAL" in text]
    assert "PBXTRACK_DIAL_TIMEOUT=7" in files["extensions.conf"]
    assert "agi://127.0.9.9:4573/resolve" in files["extensions_pbxtrack.conf"]
    assert "secret = s3cret-s3cret" in files["pbxtrack.conf"]
    assert "change-me" not in files["pbxtrack.conf"]
    assert {path.stat().st_mode & 0o777 for path in folders.etc.rglob("*.conf")} == {0o600}
    assert ("res_cdrel_custom.so" in files["modules.conf"]) == (asterisk != "16"), "16 has none, and would not start"
    assert "require = cel_custom.so" in files["modules.conf"]
    settings = tomllib.loads(folders.toml.read_text())
    assert settings["database"]["url"] == f"sqlite:///{tmp_path}/lab/pbxtrack.db"
    assert settings["ami"][0]["secret"] == "s3cret-s3cret"


def test_relative_xdg_folders_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    assert paths.cache_dir() == Path.home() / ".cache" / "pbxtrack"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert paths.cache_dir() == Path("/elsewhere/pbxtrack")
