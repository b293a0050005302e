"""The documents are true: what they tell people to write and to run is written and run."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pbxtrack.lab import registry
from tests.asterisk.service import Pbxtrack

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
WIRING = (ROOT / "docs/wiring.md").read_text("utf-8")
LEDGER = (ROOT / "docs/ledger.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a document, without the indentation that a list gives them."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def run(*arguments: str, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pbxtrack", *arguments],
        env={**os.environ, "PBXTRACK_CONFIG": str(config)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("text", [README, WIRING, LEDGER], ids=["README", "wiring", "ledger"])
def test_every_command_that_is_named_exists(text: str) -> None:
    named = {match.group(1).split()[0] for match in re.finditer(r"`pbxtrack ([a-z][a-z -]*)", text)}
    assert named
    for command in sorted(named):
        done = run(command, "--help", config=Path("/dev/null"))
        assert done.returncode == 0, f"pbxtrack {command}: {done.stderr}"


def test_the_settings_and_the_site_file_of_the_readme_are_accepted(tmp_path: Path) -> None:
    settings, site = blocks(README, "toml")
    config = tmp_path / "pbxtrack.toml"
    config.write_text(settings.replace("/var/lib/pbxtrack", str(tmp_path)))
    (tmp_path / "shop.toml").write_text(site)
    assert run("config", "check", config=config).returncode == 0
    assert run("db", "upgrade", config=config).returncode == 0
    applied = run("apply", str(tmp_path / "shop.toml"), config=config)
    assert applied.returncode == 0, applied.stderr
    assert "50 numbers" in applied.stdout
    (tmp_path / "asterisk").mkdir()
    written = run("asterisk-conf", "--out", str(tmp_path / "asterisk"), config=config)
    assert written.returncode == 0, written.stderr
    assert "secret = a-long-random-word" in (tmp_path / "asterisk/manager.d/pbxtrack.conf").read_text()
    assert "agi://127.0.0.1:4573/resolve,pbx1" in (tmp_path / "asterisk/extensions_pbxtrack.conf").read_text()


@pytest.mark.parametrize("block", blocks(WIRING, "toml") + blocks(LEDGER, "toml"))
def test_the_settings_of_the_wiring_guide_are_accepted(block: str, tmp_path: Path) -> None:
    config = tmp_path / "pbxtrack.toml"
    secret = "" if "secret" in block else '\n[[ami]]\nsecret = "a-long-random-word"\n'
    config.write_text(f'data_dir = "{tmp_path}"\n{block}{secret}')
    checked = run("config", "check", config=config)
    assert checked.returncode == 0, checked.stderr


def test_the_dialplan_of_the_readme_and_of_the_wiring_guide_is_run_by_asterisk(pbxtrack: Pbxtrack) -> None:
    """The README's inbound context takes a call; the guide's own context puts the label on the operator's display."""
    (inbound,) = blocks(README, "ini")
    custom = next(block for block in blocks(WIRING, "ini") if "pbxtrack-custom" in block)
    extensions = registry.folders(pbxtrack.lab.name).etc / "extensions.conf"
    shipped = extensions.read_text("utf-8")
    context = inbound[inbound.index("[from-trunk]") : inbound.index("#include")]
    try:
        extensions.write_text(f"{shipped}\n{context}\n{custom}", "utf-8")
        pbxtrack.lab.asterisk("dialplan reload")
        assert "Goto" in pbxtrack.lab.asterisk("dialplan show from-trunk")
        seen, call = pbxtrack.place(to="+74951230001", caller_name="Ann")
        row = pbxtrack.lab.ledger_of(seen)[0]
        assert call["status"] == "answered"
        assert row["caller_name"] == "Billboard: Ann"
    finally:
        extensions.write_text(shipped, "utf-8")
        pbxtrack.lab.asterisk("dialplan reload")


def test_the_import_that_is_shown_says_what_it_says(pbxtrack: Pbxtrack, tmp_path: Path) -> None:
    command, shown = blocks(LEDGER, "console")[0].splitlines()
    name = command.split()[-1]
    pbxtrack.place(to="+74951230001")
    packed = tmp_path / Path(name).name
    said = ""

    def says_it() -> bool:
        """Once Asterisk has written the call's last line, which AMI may tell of earlier."""
        nonlocal said
        packed.write_bytes(gzip.compress((pbxtrack.lab.log_dir / "cel-custom" / "pbxtrack.csv").read_bytes()))
        said = pbxtrack.command(*command.split()[2:-1], str(packed)).strip()
        return re.sub(r"\d+", "N", said.replace(str(packed), name)) == re.sub(r"\d+", "N", shown)

    try:
        pbxtrack.until(says_it, 60)
    except AssertionError as error:
        error.add_note(f"it said: {said}")
        raise
