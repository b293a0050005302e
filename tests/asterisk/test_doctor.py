"""`pbxtrack doctor` on a real Asterisk: well, and with each thing broken."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping

from tests.asterisk.service import Pbxtrack


def examine(pbxtrack: Pbxtrack) -> Mapping[str, bool]:
    """What doctor found, by name."""
    _, output, _ = pbxtrack.run("doctor", "--json")
    findings = json.loads(output)
    assert all(finding["mend"] for finding in findings if not finding["ok"]), "each fault says how to mend it"
    return {finding["name"]: finding["ok"] for finding in findings}


def broken(pbxtrack: Pbxtrack) -> set[str]:
    return {name for name, ok in examine(pbxtrack).items() if not ok}


def test_all_is_well(pbxtrack: Pbxtrack) -> None:
    pbxtrack.until(lambda: not broken(pbxtrack))
    status, output, _ = pbxtrack.run("doctor")
    assert status == 0
    assert "✗" not in output


def test_each_fault_is_found(pbxtrack: Pbxtrack) -> None:
    asterisk = pbxtrack.lab.asterisk
    pbxtrack.until(lambda: not broken(pbxtrack))
    pbxtrack.kill()
    assert broken(pbxtrack) == {"service", "FastAGI"}
    asterisk("database deltree pbxtrack/line")
    assert "Asterisk pbx1: last known lines" in broken(pbxtrack)
    asterisk("dialplan remove context pbxtrack")
    assert "Asterisk pbx1: dialplan" in broken(pbxtrack)
    asterisk("dialplan set global PBXTRACK_FALLBACK_LINE ")
    asterisk("dialplan reload")
    pbxtrack.start()
    pbxtrack.until(lambda: not broken(pbxtrack))
    pbxtrack.lab.stop_asterisk(kill=True)
    try:
        assert "Asterisk pbx1: AMI" in broken(pbxtrack)
        status, output, _ = pbxtrack.run("doctor")
        assert status == 1
        assert "→" in output
    finally:
        pbxtrack.lab.start_asterisk()


def test_the_folder_of_recordings_is_looked_at(pbxtrack: Pbxtrack) -> None:
    pbxtrack.until(lambda: not broken(pbxtrack))
    folder = pbxtrack.lab.root / "var/spool/monitor"
    away = folder.rename(folder.with_name("away"))
    try:
        assert broken(pbxtrack) == {"Asterisk pbx1: recordings"}
    finally:
        away.rename(folder)


def test_a_database_that_takes_no_writes_and_what_waits_for_it_are_found(pbxtrack: Pbxtrack) -> None:
    pbxtrack.until(lambda: not broken(pbxtrack))
    with contextlib.closing(sqlite3.connect(pbxtrack.lab.root / "pbxtrack.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        pbxtrack.lab.call(from_=pbxtrack.caller, to="+74951230001", ring=0.3, talk=0.6)
        pbxtrack.until(lambda: broken(pbxtrack) == {"writing", "spool"})
    pbxtrack.until(lambda: not broken(pbxtrack))
    (call,) = [call for call in pbxtrack.calls() if call["caller"] == pbxtrack.caller]
    assert call["status"] == "answered"


def test_asterisks_own_records_are_looked_at(pbxtrack: Pbxtrack) -> None:
    records = "Asterisk pbx1: records"
    pbxtrack.place(to="+74951230001")
    pbxtrack.until(lambda: not broken(pbxtrack))
    folder = pbxtrack.lab.log_dir / "cel-custom"
    aside = folder.with_name("aside")
    folder.rename(aside)
    try:
        assert broken(pbxtrack) == {records}
        folder.mkdir()
        assert not broken(pbxtrack), "the first call makes it"
        (folder / "pbxtrack.csv").write_text("a,b\n")
        assert broken(pbxtrack) == {records}
        (folder / "pbxtrack.csv").unlink()
        folder.rmdir()
    finally:
        aside.rename(folder)
    assert not broken(pbxtrack)
