"""`pbxtrack serve` as a process that is killed, stopped and started again, with its worker."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# A process that ends with its parent ends with the thread that started it: this one lasts as long as the tests do.
_starter = ThreadPoolExecutor(1, thread_name_prefix="starter")


def ask(
    url: str, body: object = None, headers: Mapping[str, str] | None = None, timeout: float = 3.0
) -> tuple[int, Any, Mapping[str, str]]:
    """(status, the JSON answered, its headers); status 0 where nobody answers in time, which is in seconds."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, json.load(response), dict(response.headers)
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            return error.code, json.loads(error.read() or b"null"), dict(error.headers)
    except (OSError, http.client.HTTPException, ValueError):
        return 0, None, {}


class Server:
    """One process; ``url`` is its HTTP API."""

    def __init__(self, name: str, api: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.url = f"http://{api}"
        self._environment = {**os.environ, **environment, "PBXTRACK_API__LISTEN": api}
        self._log = folder / f"serve-{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it. It may end at once: then it is started again by whoever looks."""
        self._process = _starter.submit(self._start).result()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "pbxtrack", "serve"],
                env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> int:
        """SIGTERM, as systemd does; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def send(self, number: signal.Signals) -> None:
        """A signal to the service."""
        assert self._process is not None
        self._process.send_signal(number)

    def worker(self) -> int | None:
        """The process that answers FastAGI; None while there is none."""
        assert self._process is not None
        pid = self._process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        """Whether it says that all is well."""
        return ask(f"{self.url}/readyz")[0] == 200

    def last_words(self) -> str:
        return self._log.read_text("utf-8", "replace")[-4000:]
