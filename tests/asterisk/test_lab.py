"""The lab itself: real Asterisk, real SIP. What the caller saw, the phone saw and Asterisk says must agree."""

import contextlib
import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

import pytest

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab import Lab, versions
from pbxtrack.lab.ami import AmiError
from pbxtrack.lab.processes import Process
from pbxtrack.lab.runtimes import DockerRuntime, docker_answers
from tests.asterisk.labs import ASTERISK, fresh_name, up

ROOT = Path(__file__).parents[2]
# On Docker the version that its image has unless another is asked for; the two images differ in Debian's release alone.
RUNTIMES = ["rootfs", *(["docker"] if ASTERISK == versions.DEFAULT and docker_answers() else [])]
CALLER, DID = "+79161234567", "+74951230001"


@pytest.fixture(scope="module", params=RUNTIMES)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with up(fresh_name(), request.param, attached=True, dial_timeout=3) as lab:
        yield lab


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def open_csv(lab: Lab, kind: str) -> TextIO:
    # Asterisk 16 writes a caller's name with the bytes that came, UTF-8 or not.
    return (lab.log_dir / f"{kind}-custom/pbxtrack.csv").open(errors="replace")


def cdr(lab: Lab, linkedid: str) -> list[list[str]]:
    found: list[list[str]] = []

    def written() -> bool:
        with contextlib.suppress(FileNotFoundError), open_csv(lab, "cdr") as file:
            found[:] = [row for row in csv.reader(file) if row[0] == linkedid]
        return bool(found)

    until(written)
    return found


class Observer:
    """Notes AMI's events with Asterisk's own times."""

    def __init__(self, lab: Lab) -> None:
        self._ami = lab.observe(timeout=60)
        self.events: list[dict[str, str]] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for event in self._ami.stream():
            self.events.append(dict(event))

    def close(self) -> None:
        self._ami.close()
        self._thread.join()

    def time_of(self, name: str, **wanted: str) -> float:
        def matching() -> list[dict[str, str]]:
            return [
                event
                for event in self.events
                if event.get("Event") == name and all(event.get(k, "").startswith(v) for k, v in wanted.items())
            ]

        until(matching)
        return float(matching()[0]["Timestamp"])


@pytest.fixture
def observer(lab: Lab) -> Iterator[Observer]:
    observer = Observer(lab)
    yield observer
    observer.close()


@pytest.mark.parametrize("hangup", ["caller", "line"])
def test_an_answered_call_has_the_times_asked_for_and_all_witnesses_agree(
    lab: Lab, observer: Observer, hangup: str
) -> None:
    result = lab.call(from_=CALLER, to=DID, ring=0.4, talk=0.6, hangup=hangup)

    assert (result.outcome, result.sip_status, result.ended_by) == ("answered", 200, hangup)
    assert result.ringing_at
    assert result.answered_at
    assert result.ended_at
    assert result.answered_at - result.ringing_at == pytest.approx(0.4, abs=0.1)
    assert result.ended_at - result.answered_at == pytest.approx(0.6, abs=0.1)
    (row,) = lab.ledger_of(result)
    assert (row["line"], row["caller"], row["did"], row["ended_by"]) == ("sales", CALLER, DID, hangup)
    assert row["answered_at"] == pytest.approx(result.answered_at, abs=0.1)
    assert row["ended_at"] == pytest.approx(result.ended_at, abs=0.1)
    linkedid = row["pbxtrack_call"].removeprefix("pbx1-")
    assert observer.time_of("DialBegin", Linkedid=linkedid) == pytest.approx(row["invited_at"], abs=0.1)
    assert observer.time_of("DialEnd", Linkedid=linkedid, DialStatus="ANSWER") == pytest.approx(
        result.answered_at, abs=0.1
    )
    assert observer.time_of("Hangup", Linkedid=linkedid) == pytest.approx(result.ended_at, abs=0.1)


def test_asterisk_tells_who_hung_up_and_from_22_on_the_reason_with_it(lab: Lab, observer: Observer) -> None:
    result = lab.call(from_=CALLER, to=DID, ring=0.1, talk=0.2, hangup="line")
    linkedid = lab.ledger_of(result)[0]["pbxtrack_call"].removeprefix("pbx1-")
    observer.time_of("HangupRequest", Linkedid=linkedid, Channel="PJSIP/sales-")
    observer.time_of("Hangup", Linkedid=linkedid, Channel="PJSIP/sales-", Cause="16")
    asked = next(e for e in observer.events if (e.get("Event"), e.get("Linkedid")) == ("HangupRequest", linkedid))
    assert asked.get("Cause") == (None if lab.version == "16" else "16")

    refused = lab.call(from_=CALLER, to=DID, outcome="busy")
    linkedid = lab.ledger_of(refused)[0]["pbxtrack_call"].removeprefix("pbx1-")
    observer.time_of("Hangup", Linkedid=linkedid, Channel="PJSIP/sales-", Cause="17")
    ended = next(e for e in observer.events if (e.get("Event"), e.get("Linkedid")) == ("Hangup", linkedid))
    assert ended.get("TechCause") == (None if lab.version == "16" else "486"), "the status of SIP"


def test_a_busy_line(lab: Lab, observer: Observer) -> None:
    result = lab.call(from_=CALLER, to=DID, outcome="busy")

    assert (result.outcome, result.sip_status, result.answered_at) == ("busy", 486, None)
    assert lab.ledger_of(result)[0]["status"] == 486
    observer.time_of("DialEnd", DialStatus="BUSY")


def test_a_missed_call_rings_until_asterisk_gives_up(lab: Lab, observer: Observer) -> None:
    result = lab.call(from_=CALLER, to=DID, outcome="missed")

    assert (result.outcome, result.answered_at, result.ended_by) == ("missed", None, "pbx")
    assert result.ringing_at
    assert result.ended_at
    assert result.ended_at - result.ringing_at == pytest.approx(3.0, abs=0.2)
    assert lab.ledger_of(result)[0]["outcome"] == "cancelled"
    observer.time_of("DialEnd", DialStatus="NOANSWER")


def test_an_abandoned_call_ends_when_the_caller_gives_up(lab: Lab, observer: Observer) -> None:
    result = lab.call(from_=CALLER, to=DID, outcome="abandoned", ring=0.7)

    assert (result.outcome, result.sip_status, result.ended_by) == ("abandoned", 487, "caller")
    assert result.ringing_at
    assert result.ended_at
    assert result.ended_at - result.ringing_at == pytest.approx(0.7, abs=0.1)
    assert lab.ledger_of(result)[0]["outcome"] == "cancelled"
    observer.time_of("DialEnd", DialStatus="CANCEL")


def test_a_line_that_refuses_and_a_line_without_a_phone(lab: Lab) -> None:
    assert lab.call(from_=CALLER, to=DID, outcome="failed", status=503).sip_status == 503
    assert lab.call(from_=CALLER, to=DID, line="PJSIP/nobody").outcome == "failed"


@pytest.mark.parametrize("dialled", ["+74951230001", "84951230001", "4951230001", "00 7495 123", "*98#", "sales"])
def test_the_dialled_number_arrives_as_it_was_sent(lab: Lab, dialled: str) -> None:
    result = lab.call(from_=CALLER, to=dialled, ring=0, talk=0.1)
    did = re.sub("[^+0-9A-Za-z]", "", dialled)  # the dialplan keeps what can be of a number or a name

    assert result.outcome == "answered"
    assert lab.ledger_of(result)[0]["did"] == did


def test_an_invite_for_nobody_in_particular_reaches_the_line_from_asterisk_22_on(lab: Lab) -> None:
    """``INVITE sip:host`` is for the extension s; Asterisk 16 refuses it by itself, before any dialplan."""
    result = lab.call(from_=CALLER, to="", ring=0, talk=0.1)

    assert (result.outcome, result.sip_status) == (("failed", 484) if lab.version == "16" else ("answered", 200))


def test_a_withheld_caller_has_no_number(lab: Lab, observer: Observer) -> None:
    result = lab.call(from_=None, to=DID, ring=0, talk=0.1)

    assert lab.ledger_of(result)[0]["caller"] == "anonymous"
    observer.time_of("Newchannel", CallerIDNum="anonymous")


def test_a_carrier_may_tell_asterisk_who_withholds_the_number(lab: Lab) -> None:
    result = lab.call(from_=None, to=DID, ring=0, talk=0.1, headers={"P-Asserted-Identity": f"<sip:{CALLER}@carrier>"})

    row = lab.ledger_of(result)[0]
    assert (row["caller"], row["withheld"]) == ("anonymous", True)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Иван", "Иван"),
        (b"J\xf6rg", "Jörg" if ASTERISK == "16" else "J\ufffdrg"),
        ('a "b" \\ [c] ; <d>', "[c] ; <d>"),
        ("x" * 500, "xxx"),
    ],
)
def test_a_caller_may_have_any_name(lab: Lab, name: str | bytes, part: str) -> None:
    result = lab.call(from_=CALLER, to=DID, ring=0, talk=0.1, caller_name=name)

    assert result.outcome == "answered"
    assert part in lab.ledger_of(result)[0]["caller_name"]


def test_a_ring_group_is_answered_by_one_line(lab: Lab) -> None:
    order = {"from_": CALLER, "to": DID, "ring": 0.3, "talk": 0.3, "line": "PJSIP/sales&PJSIP/support"}
    result = lab.call(**order, answered_by="support")

    outcomes = {row["line"]: row["outcome"] for row in lab.ledger_of(result, 2)}
    assert outcomes == {"sales": "cancelled", "support": "answered"}


def test_a_queue_answers_before_a_line_does(lab: Lab) -> None:
    result = lab.call(from_=CALLER, to=DID, ring=0.5, talk=1.5, line="Local/sales@lab-queue", answered_by="sales")

    row = next(row for row in lab.ledger_of(result, 2) if row["line"] == "sales")
    assert result.answered_at
    assert row["answered_at"] - result.answered_at > 0.4


def test_a_local_channel_as_a_line(lab: Lab) -> None:
    result = lab.call(from_=CALLER, to=DID, ring=0, talk=0.2, line="Local/support@lab-forward")

    assert (result.outcome, lab.ledger_of(result)[0]["line"]) == ("answered", "support")


def test_a_blind_transfer_by_the_line(lab: Lab) -> None:
    result = lab.call(from_=CALLER, to=DID, ring=0.1, talk=2, transfer="support", transfer_after=0.3)

    sales, support = lab.ledger_of(result, 2)
    assert (sales["line"], support["line"]) == ("sales", "support")
    assert sales["ended_at"] < support["ended_at"]
    assert support["ended_by"] == "caller"
    assert sales["pbxtrack_call"] == support["pbxtrack_call"]


def test_what_both_say_reaches_asterisk(lab: Lab) -> None:
    handle = lab.start_call(from_=CALLER, to=DID, ring=0, talk=3, audio=True)
    packets = {"carrier": 0, "sales": 0}

    def heard() -> bool:
        # The columns of "pjsip show channelstats": …, received count, lost, …
        for line in lab.asterisk("pjsip show channelstats").splitlines():
            words = line.split()
            if len(words) > 6 and words[4].isdecimal():
                packets[words[1].partition("-")[0]] = int(words[4])
        return min(packets.values()) > 20

    until(heard, 5)
    assert handle.wait().outcome == "answered"


def test_forty_callers_at_once_reach_the_line_without_pbxtrack(lab: Lab) -> None:
    with ThreadPoolExecutor(40) as pool:
        results = list(
            pool.map(lambda i: lab.call(from_=f"+7916{i:07}", to=f"+7495{i:07}", ring=0.3, talk=12), range(40))
        )

    assert {result.outcome for result in results} == {"answered"}
    # All of them talked in the same moment.
    assert max(r.answered_at or 0 for r in results) < min(r.ended_at or 0 for r in results)
    assert [lab.ledger_of(result)[0]["caller"] for result in results] == [f"+7916{i:07}" for i in range(40)]


def test_asterisk_leaves_records_with_microseconds(lab: Lab) -> None:
    result = lab.call(from_=CALLER, to=DID, ring=0.2, talk=0.3)

    linkedid = lab.ledger_of(result)[0]["pbxtrack_call"].removeprefix("pbx1-")
    (record,) = cdr(lab, linkedid)
    assert float(record[12]) == pytest.approx(result.answered_at, abs=0.1)
    assert float(record[15]) == pytest.approx(0.3, abs=0.1)
    with open_csv(lab, "cel") as file:
        assert any(row[0] == "ANSWER" and row[14] == linkedid for row in csv.reader(file))


def test_asterisk_can_crash_and_come_back(lab: Lab) -> None:
    lab.asterisk("database put pbxtrack/line 74950000001 PJSIP/support")
    time.sleep(1.5)  # Asterisk commits its database once a second
    lab.stop_asterisk(kill=True)
    with pytest.raises(AmiError):
        lab.asterisk("core show channels")
    lab.start_asterisk()

    result = lab.call(from_=CALLER, to="84950000001", ring=0, talk=0.1)
    assert lab.ledger_of(result)[0]["line"] == "support"


def test_the_settings_fit_the_lab(lab: Lab) -> None:
    settings = tomllib.loads(lab.config_path.read_text())

    assert lab.config_path.stat().st_mode & 0o777 == 0o600
    (ami,) = settings["ami"]
    assert f"{ami['host']}:{ami['port']}" == lab.addresses.ami
    assert (ami["username"], ami["secret"]) == lab.ami_login
    assert settings["agi"]["listen"] == lab.addresses.agi
    assert lab.addresses.host != "127.0.0.1"


def test_the_name_of_a_running_lab_is_taken(lab: Lab) -> None:
    with pytest.raises(PbxtrackError, match="is up already"):
        up(lab.name, "rootfs")
    assert lab.status()["ok"]


def test_another_asterisk_runs_side_by_side() -> None:
    other_version = next(version for version in versions.VERSIONS if version != ASTERISK)
    with (
        up(fresh_name(), "rootfs", attached=True) as lab,
        Lab.up(fresh_name(), "rootfs", attached=True, asterisk=other_version) as other,
    ):
        for one in (lab, other):
            assert one.call(from_=CALLER, to=DID, ring=0, talk=0.1).outcome == "answered"
            assert f"Asterisk {one.version}." in one.asterisk("core show version")
            assert one.status()["asterisk_version"] == one.version


def test_two_labs_side_by_side_have_addresses_of_their_own(lab: Lab) -> None:
    with up(fresh_name(), "rootfs", attached=True) as other:
        assert other.addresses.host != lab.addresses.host
        with ThreadPoolExecutor(2) as pool:
            pair = list(pool.map(lambda one: one.call(from_=CALLER, to=DID, ring=0, talk=0.5), (lab, other)))
        assert [result.outcome for result in pair] == ["answered", "answered"]
        assert len(other.ledger_of(pair[1])) == len(other.ledger()) == 1


def test_a_taken_port_is_named_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        with contextlib.suppress(OSError):  # a lab of the developer's own may hold it: as good
            other.bind(("127.0.0.1", 5060))
        with pytest.raises(PbxtrackError, match=r"127\.0\.0\.1:5060/udp, needed for the carrier's SIP, is taken"):
            up("default", "rootfs")
    assert list(tmp_path.rglob("state.json")) == []


def test_of_two_ups_at_once_one_wins() -> None:
    name = fresh_name()

    def try_up(_: int) -> Lab | PbxtrackError:
        try:
            return up(name, "rootfs", attached=True)
        except PbxtrackError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(try_up, range(2)))
    labs = [one for one in got if isinstance(one, Lab)]
    errors = [str(one) for one in got if isinstance(one, PbxtrackError)]
    try:
        assert len(labs) == 1
        assert "being started" in errors[0]
        assert labs[0].status()["ok"]
    finally:
        for lab in labs:
            lab.down()


def test_without_an_image_debian_packages_serve(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def no_registry(self: DockerRuntime) -> None:
        raise PbxtrackError("the image of Asterisk cannot be built: no route to host")

    monkeypatch.setattr("pbxtrack.lab.lab.docker_answers", lambda: True)
    monkeypatch.setattr(DockerRuntime, "prepare", no_registry)
    with up(fresh_name(), attached=True) as lab:
        assert lab.runtime == "rootfs"
        assert lab.call(from_=CALLER, to=DID, ring=0, talk=0.1).outcome == "answered"
    assert "using Debian's packages instead" in capsys.readouterr().err


def test_an_up_that_fails_half_way_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    name = fresh_name()
    started: list[Process] = []

    def broken(self: Lab) -> None:
        started.extend(self.state.processes())
        raise PbxtrackError("the phone fell off the table")

    monkeypatch.setattr(Lab, "_await_phones", broken)
    with pytest.raises(PbxtrackError, match="fell off"):
        up(name, "rootfs")
    assert len(started) == 3
    assert not any(process.alive() for process in started)
    assert Lab.find(name) is None


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_attached_lab_ends_with_its_owner_even_a_killed_one(runtime: str) -> None:
    name = fresh_name()
    code = f"from tests.asterisk.labs import up; import time; up({name!r}, {runtime!r}, attached=True); time.sleep(60)"
    owner = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        until(lambda: (lab := Lab.find(name)) and lab.state.phase == "up", 30)
        lab = Lab.find(name)
        assert lab
        processes = lab.state.processes()
    finally:
        owner.kill()
        owner.wait()
    until(lambda: not lab.root.exists() and not any(process.alive() for process in processes), 20)
    with pytest.raises(AmiError):
        lab.observe()


def test_what_a_crash_left_does_not_stop_the_next_up() -> None:
    name = fresh_name()
    first = up(name, "rootfs")
    for process in first.state.processes():
        process.kill()
    assert not first.status()["ok"]
    with up(name, "rootfs", attached=True) as second:
        assert second.call(from_=CALLER, to=DID, ring=0, talk=0.1).outcome == "answered"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from pbxtrack.cli.lab import lab; lab()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands_from_up_to_down() -> None:
    name = fresh_name()
    started = run("up", "--name", name, "--runtime", "rootfs", "--asterisk", ASTERISK, "--json")
    try:
        assert started.returncode == 0, started.stderr
        told = json.loads(started.stdout)
        assert told["asterisk_version"] == ASTERISK
        assert Path(told["config"]).is_file()
        assert run("status", "--name", name).returncode == 0

        call = ["call", "--name", name, "--from", CALLER, "--to", DID, "--ring", "100ms", "--talk", "200ms"]
        answered = run(*call, "--json")
        assert (answered.returncode, json.loads(answered.stdout)["outcome"]) == (0, "answered"), answered.stderr
        other = run(*call, "--line", "PJSIP/nobody")
        assert (other.returncode, other.stderr) == (1, "asked for answered, but the call was failed\n")
        assert run(*call, "--talk", "soon").returncode == 2
        state = Lab.find(name)
        assert state
        processes = state.state.processes()
    finally:
        down = run("down", "--name", name)
    assert down.returncode == 0
    assert not Path(told["log_dir"]).exists()
    assert not any(process.alive() for process in processes)
    assert run("down", "--name", name).returncode == 0


def test_no_phones_leaves_the_ports_free() -> None:
    with (
        up(fresh_name(), "rootfs", phones=False, attached=True) as lab,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine,
    ):
        mine.bind((lab.addresses.host, 5071))
        mine.settimeout(5)
        handle = lab.start_call(from_=CALLER, to=DID, outcome="abandoned", ring=0)
        assert mine.recv(4096).startswith(b"INVITE sip:sales@")
        handle.abort()
        with contextlib.suppress(PbxtrackError):
            handle.wait()


def test_an_up_ended_by_sigterm_leaves_nothing() -> None:
    name = fresh_name()
    code = "from pbxtrack.cli.lab import lab; lab()"
    command = [sys.executable, "-c", code, "up", "--name", name, "--runtime", "rootfs", "--asterisk", ASTERISK]
    process = subprocess.Popen(command, cwd=ROOT)
    until(lambda: (lab := Lab.find(name)) and lab.state.asterisk)
    os.kill(process.pid, signal.SIGTERM)
    process.wait(20)
    if process.returncode == 0:  # it was done before the signal came
        run("down", "--name", name)
    assert Lab.find(name) is None
