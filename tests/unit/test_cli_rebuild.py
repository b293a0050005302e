"""`pbxtrack rebuild` as its user meets it."""

from __future__ import annotations

import json
import sqlite3

from tests.contract.test_recording import an_answered_call
from tests.unit.test_cli import Cli, cli, ready  # noqa: F401 (fixtures)


def test_it_says_what_it_changed(ready: Cli) -> None:  # noqa: F811
    ready.record(*an_answered_call("+74951230001"))
    ready.record(*an_answered_call("+74951230001", linkedid="1.2"))
    assert ready("rebuild").out == "2 calls looked at: 0 changed, 0 attributions changed\n"
    with sqlite3.connect(ready.folder / "data" / "pbxtrack.db") as database:
        database.execute("UPDATE calls SET confidence = 0.1 WHERE id = 'pbx1-1.1'")
        database.execute("DELETE FROM calls WHERE id = 'pbx1-1.2'")
    database.close()
    assert json.loads(ready("rebuild", "--json").out) == {
        "looked_at": 2,
        "changed": 2,
        "attributions_changed": 2,
        "restored": 1,
        "not_understood": 0,
    }
    done = ready("rebuild", "--since", "2026-11-23")
    assert (done.out, done.err) == ("0 calls looked at: 0 changed, 0 attributions changed\n", "")


def test_what_hinders_it_is_said_in_a_line(cli: Cli) -> None:  # noqa: F811
    assert "pbxtrack db upgrade" in cli.fails("rebuild")
    assert "is no time" in cli("rebuild", "--since", "soon", status=2).err
