"""`pbxtrack serve` as its users run it: a process, spoken to by HTTP and commands."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from prometheus_client.parser import text_string_to_metric_families

from pbxtrack.lab import CallResult, Lab

SITE = Path(__file__).with_name("site.toml")
_PATIENCE = 15.0  # s
_callers = itertools.count(1_000_000)


class Pbxtrack:
    """A service in a lab, on SQLite in the lab's folder. ``url`` is its HTTP API; ``caller`` who calls in this test."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.url = f"http://{lab.addresses.api}"
        self.log = lab.log_dir / "pbxtrack.log"
        self.token = ""
        self._environment = {**os.environ, "PBXTRACK_CONFIG": str(lab.config_path)}
        self.caller = ""
        self._since = datetime.now(UTC)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        for path in self.lab.root.glob("pbxtrack.db*"):
            path.unlink()
        self.command("db", "upgrade")
        self.command("apply", str(SITE))
        self.token = json.loads(self.command("token", "add", "tests", "--json"))["token"]
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.send(signal.SIGCONT)
        self.stop()

    def command(self, *arguments: str) -> str:
        """Run a pbxtrack command that must succeed; its output."""
        status, output, errors = self.run(*arguments)
        assert status == 0, errors
        return output

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """(exit code, output, errors) of a pbxtrack command."""
        done = subprocess.run(
            [sys.executable, "-m", "pbxtrack", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def begin(self) -> None:
        """Forget the calls until now, and see that it runs."""
        self.send(signal.SIGCONT)
        if self._process is None or self._process.poll() is not None:
            self.start()
        self._since = datetime.now(UTC)
        self.caller = f"+7916{next(_callers):07}"

    def start(self) -> None:
        """Start it and wait until it is ready, its AMI link included."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pbxtrack", "serve"], env=self._environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip
        self.until(lambda: self.get("/readyz")[0] == 200)

    def stop(self) -> int:
        """End it as systemd does; its exit code."""
        self.send(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        """kill -9."""
        self.send(signal.SIGKILL)
        self._wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def send_worker(self, number: signal.Signals) -> None:
        """Send a signal to the process that answers FastAGI."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        (worker,) = (
            child for child in children if b"pbxtrack.agi.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
        )
        os.kill(int(worker), number)

    def get(self, path: str) -> tuple[int, Any]:
        """(status, the JSON answered) of a GET; status 0 where nobody listens."""
        return self._ask(urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"}))

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Every value of /metrics, by its name and its labels' values."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=5) as response:
            page = response.read().decode()
        return {
            (sample.name, *sample.labels.values()): sample.value
            for metric in text_string_to_metric_families(page)
            for sample in metric.samples
        }

    def lease(self, page: str, visitor: str | None = None) -> dict[str, Any]:
        """Be a website that asks for a number."""
        body = json.dumps({"site": "demo", "page": page, "visitor": visitor}).encode()
        headers = {"Content-Type": "application/json"}
        status, lease = self._ask(urllib.request.Request(f"{self.url}/api/v1/leases", body, headers))
        assert status == 201, lease
        return dict(lease)

    def calls(self) -> list[dict[str, Any]]:
        """The call log, oldest first."""
        since = quote(self._since.isoformat())
        status, answer = self.get(f"/api/v1/calls?limit=250&since={since}")
        assert status == 200, answer
        return list(reversed(answer["items"]))

    def place(self, **order: Any) -> tuple[CallResult, Mapping[str, Any]]:
        """Place a call; what the caller saw, and the call log's entry once it is over."""
        result = self.lab.call(**{"from_": self.caller, "ring": 0.3, "talk": 0.6, **order})
        return result, self.logged(result)

    def logged(self, result: CallResult) -> Mapping[str, Any]:
        """The entry of a call that is over; found through the phones' ledger, else as the latest."""
        found: list[Mapping[str, Any]] = []

        def over() -> bool:
            began = result.invited_at - 0.05
            found[:] = [
                call for call in self.calls()
                if call["ended_at"] and began <= _epoch(call["started_at"]) <= began + 1
            ]  # fmt: skip
            return bool(found)

        self.until(over)
        return found[0]

    def until(self, condition: Callable[[], object], seconds: float = _PATIENCE) -> None:
        """Wait for something; the service's last words where it does not come."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError("did not happen; the log ends: " + self.log.read_text("utf-8", "replace")[-2000:])
            time.sleep(0.05)

    def _wait(self) -> int:
        assert self._process is not None
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def _ask(self, request: urllib.request.Request) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with contextlib.closing(error):
                return error.code, json.loads(error.read() or b"null")
        except OSError:
            return 0, None


@contextlib.contextmanager
def nobody_in_the_queue(lab: Lab) -> Iterator[None]:
    """Whoever answers the queue's calls has a break."""
    for line in lab.addresses.lines:
        lab.asterisk(f"queue pause member PJSIP/{line}")
    try:
        yield
    finally:
        for line in lab.addresses.lines:
            lab.asterisk(f"queue unpause member PJSIP/{line}")


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
