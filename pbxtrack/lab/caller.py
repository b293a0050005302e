"""Places calls into a lab, as its carrier would: one SIPp a call."""

import contextlib
import itertools
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab.addresses import Addresses
from pbxtrack.lab.config import Folders
from pbxtrack.lab.media import Stream
from pbxtrack.lab.runtimes import Runtime, Word
from pbxtrack.lab.sipp import scenario
from pbxtrack.lab.treatment import Treatment
from pbxtrack.lab.voices import voice

OUTCOMES = ("answered", "busy", "missed", "abandoned", "failed")
SLACK = 15.0  # seconds that a call may take beyond what was asked
_LOOK = 0.02  # seconds between looks at SIPp's log
_SIGNALLING = range(22_000, 32_000)  # above Asterisk's media, below what Linux gives to who asks for any port
_next_port = itertools.count(os.getpid() * 101)  # programs side by side begin at different ones


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked of a call; times in seconds.

    `from_` None: the caller withholds the number. `to` is sent exactly as given. `caller_name` is text (sent as UTF-8)
    or raw bytes. `outcome`: "answered" after `ring`, then `hangup` ("caller" or "line") after `talk`; "busy"; "missed",
    the phone rings until Asterisk gives up; "abandoned", the caller gives up `ring` after it heard ringing; "failed",
    the phone refuses with `status`. `line` is where this call goes when pbxtrack does not say: "PJSIP/support".
    `answered_by` ("sales") is the only line to answer when several ring. `transfer` ("support") has the phone that
    answered transfer the call there after `transfer_after`. `audio` lets both be heard. `headers` join the INVITE.
    """

    from_: str | None
    to: str
    talk: float = 3.0
    ring: float = 1.0
    outcome: str = "answered"
    hangup: str = "caller"
    caller_name: str | bytes | None = None
    line: str | None = None
    status: int = 503
    answered_by: str = ""
    transfer: str = ""
    transfer_after: float = 1.0
    audio: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise PbxtrackError(f"{self.outcome!r} is no outcome of a call: {', '.join(OUTCOMES)}")
        if self.hangup not in ("caller", "line"):
            raise PbxtrackError(f"{self.hangup!r} cannot hang up: caller or line")
        if self.talk < 0 or self.ring < 0:
            raise PbxtrackError("a call cannot ring or talk for less than no time")
        name = self.caller_name or ""
        if any(c in (name if isinstance(name, bytes) else name.encode()) for c in b"\r\n\0"):
            raise PbxtrackError("a caller's name cannot hold line breaks")


@dataclass(frozen=True)
class CallResult:
    """What the caller saw. Times are seconds since 1970; None: did not happen.

    `outcome` is "answered", "busy", "missed" (it rang, then was refused), "abandoned" or "failed"; `ended_by` is
    "caller", "line" (or whoever sent the BYE) or "pbx". `call_id` is the SIP Call-ID of the caller's leg; the phone's
    ledger holds it as ``lab_call``.
    """

    outcome: str
    sip_status: int | None
    invited_at: float
    ringing_at: float | None
    answered_at: float | None
    ended_at: float | None
    ended_by: str | None
    call_id: str

    @property
    def ringing_seconds(self) -> float:
        """How long the caller heard ringing: until the answer, or the end."""
        end = self.answered_at or self.ended_at
        return end - self.ringing_at if self.ringing_at and end else 0.0

    @property
    def talk_seconds(self) -> float:
        """How long the caller was connected."""
        return self.ended_at - self.answered_at if self.answered_at and self.ended_at else 0.0


class CallHandle:
    """A call in progress."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, limit: float, sound: "_Sound") -> None:
        self.call_id = folder.name
        self._process, self._folder, self._sound = process, folder, sound
        self._deadline = time.monotonic() + limit

    def wait(self) -> CallResult:
        """Wait for the end of the call. Raises PbxtrackError when the caller's side broke; never waits for ever."""
        try:
            self._process.communicate(timeout=max(self._deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self.abort()
        try:
            return read_log(_text(self._folder / "log"), self.call_id)
        except ValueError:
            reason = (_text(self._folder / "err") or _text(self._folder / "out")).strip().splitlines()
            raise PbxtrackError(f"the caller broke down: {reason[-1] if reason else 'SIPp said nothing'}") from None
        finally:
            self._sound.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def abort(self) -> None:
        """Kill the caller, who then says nothing more, like a phone whose battery is empty."""
        self._process.kill()
        self._process.wait()


class _Sound:
    """The caller's media port, and a thread that sends from it the voice of that name, if one is given."""

    def __init__(self, host: str, speaker: str | None) -> None:
        # What comes to this port the kernel drops: nobody reads it, and SIPp opens none of its own.
        self._socket = _bound(host, 0)
        self._host, self._speaker, self._over = host, speaker, threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    def begin(self, log: Path, process: subprocess.Popen[bytes]) -> None:
        """Talk as soon as SIPp's log tells where to, until SIPp ends."""
        if self._speaker is not None:
            said = voice(self._speaker, begins=False)
            self._thread = threading.Thread(target=self._talk, args=(said, log, process), daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()
        self._socket.close()

    def _talk(self, said: bytes, log: Path, process: subprocess.Popen[bytes]) -> None:
        while not (found := re.search(r"^media-(\d+) ", _text(log), re.M)):
            if self._over.wait(_LOOK) or process.poll() is not None:
                return
        stream = Stream(self._socket, (self._host, int(found[1])), said)
        while not self._over.wait(stream.send()) and process.poll() is None:
            pass


def place(order: Order, addresses: Addresses, runtime: Runtime, folders: Folders, dial_timeout: float) -> CallHandle:
    """Start the call. Raises PbxtrackError when it cannot be started."""
    call_id = uuid.uuid4().hex
    folder = folders.calls / call_id
    try:
        folder.mkdir()
    except FileNotFoundError:
        raise PbxtrackError(f"the lab {folders.root.name} is not up; start it with: pbxtrack lab up") from None
    sound = _Sound(addresses.host, (order.from_ or "withheld") if order.audio else None)
    port = _signalling_port(addresses.host)
    patience = order.ring + dial_timeout + SLACK
    text = scenario(
        talk=order.talk,
        patience=patience,
        abandon_after=order.ring if order.outcome == "abandoned" else None,
        line_hangs_up=order.hangup == "line",
    )
    (folder / "scenario.xml").write_text(text)
    limit = patience + order.talk + 3 * SLACK
    arguments: list[Word] = [
        *("-sf", "scenario.xml", "-m", "1", "-nostdin", "-timeout", f"{limit:.0f}s"),
        *("-i", addresses.host, "-mi", addresses.host, "-p", str(port), "-cid_str", call_id),
        *("-trace_logs", "-log_file", "log", "-trace_err", "-error_file", "err"),
        *("-key", "id", call_id, "-key", "media", str(sound.port)),
        *("-key", "ruri", _uri(order.to, addresses.sip), "-key", "from", _from(order, addresses.host)),
        *("-key", "extra", _extra(order, call_id), addresses.sip),
    ]
    with (folder / "out").open("wb") as out:
        try:
            process = subprocess.Popen(
                runtime.sipp(arguments, folder), cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        except OSError as error:
            raise PbxtrackError(f"SIPp cannot be started: {error}") from error
    sound.begin(folder / "log", process)
    return CallHandle(process, folder, limit + SLACK, sound)


def read_log(text: str, call_id: str) -> CallResult:
    """Read what the scenario wrote to SIPp's log. Raises ValueError when it is not the log of a call."""
    seen: dict[str, float] = {}
    for line in text.splitlines():
        event, seconds, micros = line.split()
        seen.setdefault(event, float(seconds) + float(micros) / 1e6)
    if "invited" not in seen:
        raise ValueError("no INVITE was sent")
    statuses = [int(event.removeprefix("status-")) for event in seen if event.startswith("status-")]
    status = statuses[-1] if statuses else None
    refused_at = seen.get(f"status-{status}")
    answered_at = seen.get("status-200")
    ringing_at = seen.get("ringing")
    if answered_at is not None:
        by = "caller" if "ended-caller" in seen else "line" if "ended-line" in seen else None
        outcome, ended_at, ended_by = "answered", seen.get(f"ended-{by}"), by
    elif "cancelled" in seen and "trying" not in seen and not ringing_at:
        outcome, ended_at, ended_by = "failed", seen["cancelled"], None  # nobody is there at all
    elif "cancelled" in seen:
        outcome, ended_at, ended_by = "abandoned", seen["cancelled"], "caller"
    elif status in (486, 600):
        outcome, ended_at, ended_by = "busy", refused_at, "line"
    else:
        outcome, ended_at, ended_by = "missed" if ringing_at else "failed", refused_at, "pbx"
    return CallResult(outcome, status, seen["invited"], ringing_at, answered_at, ended_at, ended_by, call_id)


def _from(order: Order, host: str) -> bytes:
    uri = "sip:anonymous@anonymous.invalid" if order.from_ is None else _uri(order.from_, host)
    name = order.caller_name or ("Anonymous" if order.from_ is None else b"")
    raw = name if isinstance(name, bytes) else name.encode()
    quoted = raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return (b'"' + quoted + b'" ' if raw else b"") + f"<{uri}>".encode()


def _uri(user: str, address: str) -> str:
    # RFC 3261 section 25.1: what may stand in the user part as it is; a space, for one, may not.
    return f"sip:{quote(user, safe='-_.!~*()&=+$,;?/')}@{address}" if user else f"sip:{address}"


def _extra(order: Order, call_id: str) -> str:
    treatment = Treatment(
        call=call_id,
        outcome={"abandoned": "missed", "failed": "rejected"}.get(order.outcome, order.outcome),
        ring=round(order.ring * 1000),
        talk=round((order.transfer_after if order.transfer else order.talk) * 1000),
        hangup=order.hangup,
        status=order.status,
        transfer=order.transfer,
        only=order.answered_by,
        audio=order.audio,
    )
    headers = {"X-Lab-Call": treatment.header()}
    if order.line:
        headers["X-Lab-Line"] = order.line
    if order.from_ is None:
        headers["Privacy"] = "id"
    return "\r\n".join(f"{name}: {value}" for name, value in (headers | dict(order.headers)).items())


def _signalling_port(host: str) -> int:
    """A port that is free, and stays free until SIPp takes it: nobody is given it again, or by the system."""
    for _ in range(len(_SIGNALLING)):
        port = _SIGNALLING[next(_next_port) % len(_SIGNALLING)]
        with contextlib.suppress(OSError), contextlib.closing(_bound(host, port)):
            return port
    raise PbxtrackError(f"no UDP port is free at {host}")


def _bound(host: str, port: int) -> socket.socket:
    chosen = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        chosen.bind((host, port))
    except OSError:
        chosen.close()
        raise
    return chosen


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
