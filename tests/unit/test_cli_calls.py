"""`pbxtrack calls` where people had something to say, or were missed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from pbxtrack.access import Access, Role
from pbxtrack.calls.events import LineAnswered
from pbxtrack.storage.annotations import annotate_call
from pbxtrack.storage.database import Database
from tests.contract.test_recording import NOW, an_answered_call
from tests.unit.test_cli import Cli, cli, ready  # noqa: F401 (fixtures)

NUMBER = "+74951230001"


def missed(linkedid: str, minutes: int, caller: str = "+79161234567") -> list[Any]:
    facts = an_answered_call(NUMBER, caller, NOW + timedelta(minutes=minutes), linkedid)
    return [fact for fact in facts if not isinstance(fact, LineAnswered)]


def say(ready: Cli, **changes: Any) -> None:  # noqa: F811
    database = Database(f"sqlite:///{ready.folder}/data/pbxtrack.db")
    with database.transaction() as connection:
        assert annotate_call(connection, "pbx1-1.1", changes, Access("Ann", Role.MANAGER), NOW, "RU")
    database.close()


def test_a_correction_and_its_history_are_shown(ready: Cli) -> None:  # noqa: F811
    ready.record(*an_answered_call(NUMBER))
    assert "What people changed" not in ready("calls", "show", "pbx1-1.1").out
    say(ready, attribution={"channel": "Radio"}, qualified=False)
    say(ready, note="x" * 100, tags=["a", "b"])
    lines = ready("calls", "show", "pbx1-1.1").out.splitlines()
    assert "Lead:        no, people say" in lines
    assert "Brought by: Radio (100% sure, by corrected)" in lines
    assert "  Corrected by Ann: Radio brought the call, not Bill[red]board." in lines
    assert (
        "  Computed: Bill[red]board (100% sure, by static). The number belongs to the channel Bill[red]board." in lines
    )
    assert lines[-5:] == [
        "What people changed:",
        "  2026-11-22 12:00:00  Ann: tags, – → a, b",
        f"  2026-11-22 12:00:00  Ann: note, – → {'x' * 59}…",
        "  2026-11-22 12:00:00  Ann: qualified, – → no",
        "  2026-11-22 12:00:00  Ann: attribution, – → Radio",
    ]
    assert len(json.loads(ready("calls", "show", "pbx1-1.1", "--json").out)["history"]) == 4


def test_missed_calls_that_nobody_called_back(ready: Cli) -> None:  # noqa: F811
    ready.record(*missed("1.1", 0), *missed("1.2", 1, "+79160000001"))
    assert [call["id"] for call in unsettled(ready)] == ["pbx1-1.2", "pbx1-1.1"]
    ready.record(*an_answered_call(NUMBER, at=NOW + timedelta(minutes=5), linkedid="1.3"))
    assert [call["id"] for call in unsettled(ready)] == ["pbx1-1.2"]
    assert "Settled:     2026-11-22 12:05:04, by pbx1-1.3" in ready("calls", "show", "pbx1-1.1").out
    assert len(json.loads(ready("calls", "--unique", "--json").out)["items"]) == 2


def unsettled(ready: Cli) -> list[dict[str, Any]]:  # noqa: F811
    found: list[dict[str, Any]] = json.loads(ready("calls", "--unsettled", "--json").out)["items"]
    return found
