"""`pbxtrack import-cdr` as its user meets it."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from pathlib import Path

import pytest

from tests.unit.test_cli import Cli, cli, ready  # noqa: F401 (fixtures)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "ledger"


@pytest.fixture
def files(ready: Cli) -> Cli:  # noqa: F811
    """With Asterisk's files in the folder."""
    for name in ("cel.csv", "cdr.csv"):
        shutil.copy(FIXTURES / name, ready.folder)
    (ready.folder / "cel.csv.1.gz").write_bytes(gzip.compress((FIXTURES / "cel.csv").read_bytes()))
    return ready


def test_it_says_what_it_added_and_adds_nothing_twice(files: Cli) -> None:
    assert files("import-cdr", "cel.csv").out == "cel.csv: 18 calls added, 0 completed, 0 known\n"
    again = files("import-cdr", "cel.csv.1.gz", "cdr.csv").out
    assert again.splitlines() == [
        "cel.csv.1.gz: 0 calls added, 0 completed, 18 known",
        "cdr.csv: 0 calls added, 0 completed, 17 known",
    ]
    assert len(json.loads(files("calls", "--json").out)["items"]) == 18


def test_for_programs(files: Cli) -> None:
    (files.folder / "cel.csv").write_text((FIXTURES / "cel.csv").read_text() + "not a row\n")
    assert json.loads(files("import-cdr", "--json", "cel.csv").out) == [
        {"file": "cel.csv", "kind": "cel", "added": 18, "mended": 0, "known": 0, "going_on": 0, "malformed_lines": 1}
    ]


def test_a_call_that_goes_on_is_left_to_who_hears_its_end(files: Cli) -> None:
    rows = (FIXTURES / "cel.csv").read_text().splitlines()
    began = f"{time.time():.6f}"
    rows = [row.replace(row.split('","')[1], began, 1) for row in rows[:5]]
    (files.folder / "now.csv").write_text("\n".join(rows) + "\n")
    assert files("import-cdr", "now.csv").out == "now.csv: 0 calls added, 0 completed, 0 known; 1 not over by its end\n"


def test_what_cannot_be_imported_is_said_in_a_line(files: Cli) -> None:
    assert "none.csv cannot be read: No such file or directory" in files.fails("import-cdr", "none.csv")
    assert "shop.toml is not one of Asterisk's CEL or CDR files" in files.fails("import-cdr", "shop.toml")
    (files.folder / "cut.gz").write_bytes((files.folder / "cel.csv.1.gz").read_bytes()[:200])
    assert "cut.gz cannot be read" in files.fails("import-cdr", "cut.gz")
    assert "the settings name no such node; there is pbx1" in files.fails(
        "import-cdr", "--node", "x", "cel.csv", status=2
    )
    assert "no time zone 'Mars'" in files.fails("import-cdr", "--time-zone", "Mars", "cdr.csv", status=2)


def test_it_wants_the_tables(cli: Cli) -> None:  # noqa: F811
    shutil.copy(FIXTURES / "cel.csv", cli.folder)
    assert "pbxtrack db upgrade" in cli.fails("import-cdr", "cel.csv")
