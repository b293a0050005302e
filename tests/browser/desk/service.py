"""The service as a process of its own, with a year of demonstration data, hostile names among it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

NAME, PASSWORD = "ann", "correct horse battery"
SITE = "demo-shop"
_PATIENCE = 30.0  # s


@contextlib.contextmanager
def service(folder: Path) -> Iterator[str]:
    """Its address, while the block runs."""
    port = _free_port()
    (folder / "data").mkdir()
    (folder / "pbxtrack.toml").write_text(
        f'data_dir = "{folder}/data"\n[api]\nlisten = "127.0.0.1:{port}"\n[log]\nformat = "json"\n', encoding="utf-8"
    )
    others = {name: value for name, value in os.environ.items() if not name.startswith("PBXTRACK_")}
    environment = {**others, "PBXTRACK_CONFIG": str(folder / "pbxtrack.toml")}
    program = [sys.executable, "-m", "pbxtrack"]
    for arguments, typed in (
        (["db", "upgrade"], ""),
        (["demo-data", "--calls", "2000", "--hostile"], ""),
        (["user", "add", NAME, "--password-stdin"], PASSWORD + "\n"),
    ):
        done = subprocess.run([*program, *arguments], env=environment, input=typed, text=True, capture_output=True)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
    log = folder / "log"
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*program, "serve", "api"], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, process, log)
            yield address
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/healthz", timeout=2):
            return
        time.sleep(0.05)
    raise AssertionError(f"the service does not answer: {log.read_text(encoding='utf-8')[-2_000:]}")


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port
