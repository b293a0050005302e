"""The command line as its user meets it: what it prints, where, and its exit status."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from sqlalchemy.exc import OperationalError

from pbxtrack.__main__ import run
from pbxtrack.calls.events import CallArrived, Fact, HangupRequested, LegEnded, LineAnswered, LineDialled, LineRang
from pbxtrack.calls.service import record
from pbxtrack.cli import group
from pbxtrack.cli.calls import _columns, _common_zone, _row
from pbxtrack.cli.table import lay_out
from pbxtrack.cli.text import count, second, visible
from pbxtrack.doctor import _beside_ours, _not_ready
from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database, translated_errors

SITE = """
[[site]]
key = "demo"
name = "Demo"
line = "PJSIP/sales"
timezone = "Europe/Moscow"
[[site.pool]]
name = "moscow"
numbers = ["+74951230100..+74951230149"]
[[site.channel]]
name = "Bill[red]board"
numbers = ["+74951230001"]
"""


class Cli:
    """Runs commands in this process, on a data directory of their own."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys = capsys
        self.folder = folder

    def __call__(self, *arguments: str, status: int = 0) -> SimpleNamespace:
        self._capsys.readouterr()
        found = run(arguments)
        out, err = self._capsys.readouterr()
        assert found == status, err
        return SimpleNamespace(out=out, err=err)

    def fails(self, *arguments: str, status: int = 1) -> str:
        done = self(*arguments, status=status)
        assert done.err.count("\n") == 1
        return str(done.err.strip())

    def site(self, text: str = SITE) -> str:
        file = self.folder / "shop.toml"
        file.write_text(text, encoding="utf-8")
        return "shop.toml"

    def record(self, *facts: Fact) -> None:
        database = Database(f"sqlite:///{self.folder}/data/pbxtrack.db")
        with database.transaction() as connection:
            record(SqlCalls(connection), facts, datetime.now(UTC), "RU")
        database.close()


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PBXTRACK_CONFIG", raising=False)
    monkeypatch.setenv("PBXTRACK_DATA_DIR", str(tmp_path / "data"))
    return Cli(capsys, tmp_path)


@pytest.fixture
def ready(cli: Cli) -> Cli:
    """With a database and a site."""
    cli("db", "upgrade")
    cli("apply", cli.site())
    return cli


def test_help_and_version(cli: Cli) -> None:
    assert "apply" in cli("--help").out
    assert cli("--version").out.startswith("pbxtrack 0.")
    assert "--dry-run" in cli("apply", "--help").out


def test_help_is_quick_since_nothing_is_imported_for_it() -> None:
    script = (
        "import sys; from pbxtrack.__main__ import run; run(['--help']); "
        "sys.exit(sorted({'sqlalchemy', 'pydantic', 'aiohttp', 'rich'} & set(sys.modules)) or 0)"
    )
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20, stdout=subprocess.DEVNULL)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "name", [name for name in group.COMMANDS if find_spec(f"pbxtrack.cli.{name.replace('-', '_')}")]
)
def test_each_command_is_what_the_list_says(name: str) -> None:
    command = group.pbxtrack.get_command(click.Context(group.pbxtrack), name)
    assert command is not None
    assert command.name == name


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nonsense"], "pbxtrack: No such command 'nonsense'. (see `pbxtrack --help`)"),
        (["cals"], "pbxtrack: No such command 'cals'. Did you mean 'calls'?"),
        (["asterisk-conf", "--agi", "x"], "pbxtrack asterisk-conf: Invalid value for '--agi': 'x': must be HOST:PORT"),
        (["asterisk-conf", "--permit", "::1"], "pbxtrack asterisk-conf: Invalid value for '--permit': '::1': must be"),
        (["--nonsense"], "pbxtrack: No such option '--nonsense'. (see `pbxtrack --help`)"),
        (["apply"], "pbxtrack apply: Missing argument 'FILE.toml'. (see `pbxtrack apply --help`)"),
        (["db", "nonsense"], "pbxtrack db: No such command 'nonsense'. (see `pbxtrack db --help`)"),
        (["calls", "--since", "soon"], "pbxtrack calls: Invalid value for '--since': 'soon' is no time"),
        (["calls", "--limit", "0"], "pbxtrack calls: Invalid value for '--limit': 0 is not in the range"),
        (["token", "add", "123"], "pbxtrack token add: Invalid value: must be 1 to 100 printable characters"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(cli: Cli, arguments: list[str], expected: str) -> None:
    assert cli.fails(*arguments, status=2).startswith(expected)


@pytest.mark.parametrize(
    "arguments",
    [["db", "check"], ["calls"], ["calls", "show", "x"], ["export-config"], ["token", "list"], ["apply", "shop.toml"]],
)
def test_without_a_database_the_user_is_told_what_to_do(cli: Cli, arguments: list[str]) -> None:
    cli.site()
    assert cli.fails(*arguments) == "pbxtrack: the database has no tables yet; run `pbxtrack db upgrade`"
    assert not (cli.folder / "data").exists()


def test_the_database_is_upgraded_once(cli: Cli) -> None:
    assert cli("db", "upgrade").out.startswith("upgraded the database from empty to revision ")
    assert "already" in cli("db", "upgrade").out
    assert cli("db", "check").out.startswith("the database is at revision ")
    assert json.loads(cli("db", "check", "--json").out)["current"] is True


@pytest.mark.parametrize("command", ["check", "upgrade"])
def test_a_database_that_does_not_answer(cli: Cli, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PBXTRACK_DATABASE__URL", "postgresql://u:hush@127.0.0.1:1/x")
    found = cli.fails("db", command)
    assert found.startswith("pbxtrack: the database is not available: ")
    assert "hush" not in found


def test_a_file_that_is_no_database_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    file = cli.folder / "notes.txt"
    file.write_text("not a database at all, " * 100)
    monkeypatch.setenv("PBXTRACK_DATABASE__URL", f"sqlite:///{file}")
    for arguments in (["db", "check"], ["db", "upgrade"], ["calls"]):
        assert cli.fails(*arguments) == (
            f"pbxtrack: {file} is not an SQLite database; see database.url in the settings"
        )


def test_a_database_that_cannot_be_written_is_named(ready: Cli) -> None:
    file = f"{ready.folder}/data/pbxtrack.db"
    with pytest.raises(StorageUnavailable, match=f"^{file} cannot be written: "), translated_errors(file):
        raise OperationalError("", {}, sqlite3.OperationalError("attempt to write a readonly database"))


def test_a_new_database_is_for_its_owner_alone(ready: Cli) -> None:
    assert (ready.folder / "data" / "pbxtrack.db").stat().st_mode & 0o777 == 0o600


def test_doctor_says_in_words_what_is_wrong(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API__LISTEN", "AGI__LISTEN"):
        monkeypatch.setenv(f"PBXTRACK_{name}", "127.0.0.1:1")
    monkeypatch.setenv("PBXTRACK_AMI__PORT", "1")

    def doctor(*more: str) -> SimpleNamespace:  # in a process of its own, since it sets up the logs of the process
        command = [sys.executable, "-m", "pbxtrack", "doctor", *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (1, "")
        return SimpleNamespace(out=done.stdout)

    done = doctor()
    assert "database: the database has no tables yet; run `pbxtrack db upgrade`" in done.out
    assert "Asterisk pbx1: AMI: nothing listens at 127.0.0.1:1" in done.out
    assert "is Asterisk running, and is enabled = yes" in done.out
    assert "Errno" not in done.out
    assert done.out.splitlines()[-1].endswith(" checks failed")
    assert not (cli.folder / "data").exists()
    cli("db", "upgrade")
    findings = json.loads(doctor("--json").out)
    assert all(bool(finding["mend"]) is not finding["ok"] for finding in findings)


def test_doctor_reads_the_services_problem_document() -> None:
    checks = [{"name": "database", "ok": True, "reason": ""}, {"name": "Asterisk pbx1", "ok": False, "reason": "lost"}]
    found, known = _not_ready(json.dumps({"checks": checks}), 503)
    assert (str(found), known) == ("is not ready: Asterisk pbx1: lost", True)
    assert _not_ready("<html>", 502)[1] is False


def test_doctor_tells_which_clock_is_ahead() -> None:
    assert [str(_beside_ours(off)) for off in (-0.0002, 0.01, -2.5)] == [
        "as ours", "0.01 s ahead of ours", "2.5 s behind ours",
    ]  # fmt: skip


def test_a_mistyped_setting_stops_every_command(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PBXTRACK_API__LISEN", "x")
    for arguments in (["db", "check"], ["config", "check"], ["calls"]):
        assert cli.fails(*arguments) == "pbxtrack: PBXTRACK_API__LISEN: unknown setting; did you mean listen?"


def test_settings_are_shown_with_their_origin_and_without_secrets(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    (cli.folder / "pbxtrack.toml").write_text('[[ami]]\nnode = "a"\nsecret = "hush"\n')
    (cli.folder / "pbxtrack.toml").chmod(0o644)
    monkeypatch.setenv("PBXTRACK_DATABASE__URL", "postgresql://u:h@u@s/h?password=hush&x=1")
    done = cli("config", "check")
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()[2:] if line.strip()}
    assert rows["ami[a].secret"] == ["********", "pbxtrack.toml:3"]
    assert rows["ami[a].port"] == ["5038", "default"]
    assert rows["database.url"][0] == "postgresql://u:********@s/h?password=********&x=1"
    assert rows["database.url"][1] == "PBXTRACK_DATABASE__URL"
    assert done.err.splitlines()[0] == (
        "warning: pbxtrack.toml holds ami.secret, and every user of this machine can read it: chmod o-r pbxtrack.toml"
    )
    data = json.loads(cli("config", "check", "--json").out)
    assert data["file"] == "pbxtrack.toml"
    assert len(data["warnings"]) == 1
    assert "hush" not in done.out + done.err + json.dumps(data)


def test_settings_without_a_secret_are_not_sound(cli: Cli) -> None:
    assert cli.fails("asterisk-conf").startswith("pbxtrack: ami.secret (of node pbx1): not set; make one with ")
    done = cli("config", "check", status=1)
    assert done.err.startswith("pbxtrack: ami.secret: not set; make one with ")
    cli("db", "upgrade")


def test_one_underscore_where_two_belong(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong, right in (("API_LISTEN", "API__LISTEN"), ("DATABASE_URL", "DATABASE__URL")):
        with monkeypatch.context() as patch:
            patch.setenv(f"PBXTRACK_{wrong}", "x")
            expected = f"pbxtrack: PBXTRACK_{wrong}: unknown setting; did you mean PBXTRACK_{right}?"
            assert cli.fails("config", "check") == expected


def test_asterisks_files_are_written_once_and_only_where_the_folder_is(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PBXTRACK_AMI__SECRET", "a-long-random-word")
    assert "does not exist" in cli.fails("asterisk-conf", "--out", "etc")
    assert not (cli.folder / "etc").exists()
    (cli.folder / "etc").mkdir()
    done = cli("asterisk-conf", "--out", "etc", "--permit", "10.0.0.0/8")
    assert [line.split()[0] for line in done.out.splitlines()[:2]] == ["written", "written"]
    assert "dialplan reload" in done.out
    manager = cli.folder / "etc" / "manager.d" / "pbxtrack.conf"
    assert manager.stat().st_mode & 0o777 == 0o640
    assert "permit = 10.0.0.0/255.0.0.0" in manager.read_text()
    done = cli("asterisk-conf", "--out", "etc", "--permit", "10.0.0.0/8")
    assert [line.split()[0] for line in done.out.splitlines()[:2]] == ["unchanged", "unchanged"]


def test_apply_tells_what_it_does_and_does_it_once(cli: Cli) -> None:
    cli("db", "upgrade")
    file = cli.site()
    expected = "+ site demo: Demo, line PJSIP/sales\n+ pool moscow: 50 numbers\n+ channel Bill[red]board: 1 number\n"
    assert cli("apply", "--dry-run", file).out == expected + "3 changes, not applied\n"
    assert cli("apply", file).out == expected + "3 changes applied\n"
    assert cli("apply", file).out == "nothing to change\n"
    assert json.loads(cli("apply", file, "--json").out) == {"applied": False, "changes": [], "held": []}


def test_apply_refuses_a_file_that_removes_everything(ready: Cli) -> None:
    file = ready.site("# nothing\n")
    assert ready.fails("apply", file) == (
        "pbxtrack: shop.toml has no [[site]]: that would remove every site; --force if it is meant"
    )
    assert ready("apply", file, "--force").out == "- site demo: 51 numbers\n1 change applied\n"


def test_apply_refuses_to_take_numbers_that_are_shown(ready: Cli) -> None:
    database = Database(f"sqlite:///{ready.folder}/data/pbxtrack.db")
    soon = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    with database.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE numbers SET free_at = ? WHERE kind = 'pool'", (f"{soon:%Y-%m-%d %H:%M:%S}.000000",)
        )
    database.close()
    file = ready.site(SITE.replace("30149", "30119"))
    done = ready("apply", file, status=1)
    assert done.out == "- number +74951230120..+74951230149: pool moscow (30)\n1 change, not applied\n"
    assert done.err == (
        "pbxtrack: visitors are shown 30 numbers that would go or move now: +74951230120, +74951230121, +74951230122, "
        "+74951230123, +74951230124, …; nothing was applied: wait until their hold ends, or use --force\n"
    )
    assert json.loads(ready("apply", file, "--json", status=1).out)["applied"] is False
    assert ready("apply", file, "--dry-run", status=1).out.endswith("not applied\n")
    assert ready("apply", file, "--force").out.endswith("1 change applied\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "shop.toml: no such file"),
        (b"\xff", "shop.toml:1: is not UTF-8 text"),
        (b"[[site]]\nkey = ", "shop.toml:2: is not valid TOML: "),
        (b"[[site]]\n\nkee = 'x'", "shop.toml:3: site.kee: unknown key; did you mean key?"),
    ],
)
def test_a_site_file_that_cannot_be_read(ready: Cli, content: bytes | None, expected: str) -> None:
    file = ready.folder / "shop.toml"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert ready.fails("apply", "shop.toml").startswith(f"pbxtrack: {expected}")
    assert ready.fails("apply", ".") == "pbxtrack: .: is a directory; name a file"
    assert "nothing" not in ready("export-config").out


def test_what_is_exported_applies_to_the_same(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = ready("export-config").out
    assert '"+74951230100..+74951230149"' in exported
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(exported.encode())))
    assert ready("apply", "-").out == "nothing to change\n"


def test_who_only_reads_waits_for_no_writer_and_keeps_none_waiting(ready: Cli) -> None:
    """SQLite has one writer at a time: whoever took that place to read would wait for this one, and then fail."""
    at = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)
    ready.record(CallArrived(node="pbx1", linkedid="1.1", at=at, leg="1.1", dialled="84951230001", caller=None))
    with closing(sqlite3.connect(f"{ready.folder}/data/pbxtrack.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        for name in ("channels", "accuracy", "numbers", "curves"):
            ready("report", name)
        assert "+74951230001" in ready("calls").out
        assert "+74951230001" in ready("calls", "show", "pbx1-1.1").out
        assert "nobody visited" in ready.fails("pool", "size", "--site", "demo")
        assert "moscow" in ready("export-config").out
        assert "no tokens" in ready("token", "list").out


def test_tokens(ready: Cli) -> None:
    done = ready("token", "add", "crm")
    assert done.out.startswith("pbx_")
    assert len(done.out.split()) == 1
    assert ready.fails("token", "add", "crm").startswith("pbxtrack: there is a token 'crm' already")
    assert "crm" in ready("token", "list").out
    assert done.out.strip() not in ready("token", "list").out
    second = json.loads(ready("token", "add", "bi", "--json").out)
    assert second["token"].startswith("pbx_")
    assert ready("token", "revoke", "crm").out == "revoked token 1 (crm)\n"
    assert ready("token", "revoke", str(second["id"])).out == "revoked token 2 (bi)\n"
    assert ready.fails("token", "revoke", "crm") == (
        "pbxtrack: there is no token 'crm' to revoke; see `pbxtrack token list`"
    )
    assert [token["revoked_at"] is None for token in json.loads(ready("token", "list", "--json").out)] == [False, False]


def test_calls_and_one_call_explained(ready: Cli) -> None:
    at = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)

    def told(kind: type[Fact], second: float, leg: str = "1.1", **more: object) -> Fact:
        return kind(node="pbx1", linkedid="1.1", at=at + timedelta(seconds=second), leg=leg, **more)

    assert ready("calls").out == "no calls\n"
    ready.record(
        told(CallArrived, 0, dialled="84951230001", caller="+79161234567", caller_name="\x1b[31mEve"),
        told(LineDialled, 0.1, "1.2", name="PJSIP/sales-0001"),
        told(LineRang, 0.2, "1.2", name="PJSIP/sales-0001"),
        told(LineAnswered, 4.2, "1.2", name="PJSIP/sales-0001"),
        told(HangupRequested, 70, cause=16),
        told(LegEnded, 70, "1.2", cause=16),
        told(LegEnded, 70, cause=16),
    )
    table = ready("calls", "--site", "demo", "--status", "answered", "--caller", "8 916 123-45-67").out.splitlines()
    assert table[2].split() == [
        "2026-11-23", "00:30:00", "demo", "+79161234567", "+74951230001", "Bill[red]board", "answered", "4.0", "s",
        "1:06", "caller", "100%", "pbx1-1.1",
    ]  # fmt: skip
    assert ready.fails("calls", "--site", "nosuch") == "pbxtrack: there is no site 'nosuch'; there is demo"
    for nothing in (["--channel", "x"], ["--caller", "withheld"], ["--until", "2026-11-22T21:30Z"], ["--since", "0m"]):
        if nothing != ["--since", "0m"] or datetime.now(UTC) > at:
            assert ready("calls", *nothing).out == "no calls\n"
    assert len(json.loads(ready("calls", "--json", "--since", "2026-11-22T21:30:00Z").out)["items"]) == 1
    shown = ready("calls", "show", "pbx1-1.1").out
    for line in (
        "Time:        2026-11-23 00:30:00 MSK",
        "Caller:      +79161234567, first call",
        "Status:      answered, rang 4.0 s, talked 1:06, hung up by caller, cause 16, target",
        "  00:30:00.000  +79161234567 dialled 84951230001 (heard by ami).",
        "Brought by: Bill[red]board (100% sure, by static)",
        "  The number belongs to the channel Bill[red]board.",
    ):
        assert line in shown.splitlines()
    assert len(json.loads(ready("calls", "show", "pbx1-1.1", "--json").out)["timeline"]) == 7
    assert ready.fails("calls", "show", "x\x1b[31m") == (
        r"pbxtrack: there is no call 'x\x1b[31m'; see `pbxtrack calls`"
    )


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
def test_the_call_log_on_a_terminal_of_any_width(width: int) -> None:
    def call(number: int, site: str | None, channel: str | None) -> dict[str, Any]:
        attribution = {"channel": channel, "campaign": "spring sale " * 4 if channel else None, "confidence": 1.0}
        return {
            "id": f"pbx1-1795368123.{number}",
            "started_at": "2026-11-22T21:30:00.000Z",
            "site": site,
            "caller": "+79161234567",
            "dialled": "+74951230001",
            "attribution": attribution,
            "status": "no-answer",
            "ringing_seconds": 4.0,
            "talk_seconds": 66.0,
            "answered_at": "2026-11-22T21:30:04.000Z",
            "hung_up_by": "caller",
        }

    items = [call(1, "demo", "Наружная реклама на Ленинском проспекте"), call(22222, None, None)]
    zone = _common_zone(items, {"demo": "Europe/Moscow"})
    lines = lay_out(_columns(items, zone), [_row(item, zone) for item in items], width)
    assert max(map(len, lines)) <= width or width < 64
    for line, item in zip(lines[2:], items, strict=True):
        assert "11-23 00:30:00 " in line  # without a site too
        for whole in ("+79161234567", "no-answer", item["id"]):
            assert whole in line.split()
    assert lines[0].startswith(("Time (Europe/Moscow) ", "Time (MSK) "))
    assert "Наружная" in lines[2]
    expected = {160: {"Dialled", "Talk", "Site", "Campaign"}, 120: {"Dialled", "Talk"}, 100: {"Dialled"}}
    assert expected.get(width, set()) <= set(lines[0].split())


def test_calls_of_sites_in_different_zones_are_told_in_utc() -> None:
    zones = {"a": "Europe/Moscow", "b": "Asia/Omsk"}
    assert _common_zone([{"site": "a"}, {"site": None}], zones) == "Europe/Moscow"
    assert _common_zone([{"site": "a"}, {"site": "b"}], zones) == "UTC"
    assert _common_zone([{"site": None}], zones) == "UTC"


def test_times_are_told_to_the_second_in_utc() -> None:
    assert second(datetime(2026, 11, 23, 15, 4, 5, 999_999, timezone(timedelta(hours=3)))) == "2026-11-23 12:04:05"
    assert second(None) == "never"


def test_what_a_terminal_would_obey_is_made_visible() -> None:
    assert visible("a\x1b[31m\u202e\n\x7f") == r"a\x1b[31m\u202e\n\x7f"
    assert visible("Привет, 世界 [bold]") == "Привет, 世界 [bold]"
    assert [count(1, "number"), count(1_000, "number"), count(2, "address")] == [
        "1 number",
        "1,000 numbers",
        "2 addresses",
    ]


def test_a_defect_of_ours_is_one_line_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("pbxtrack.cli.config.load", broken)
    assert cli.fails("config", "check") == (
        "pbxtrack: unexpected RuntimeError: two lines; please report this, with the output of `pbxtrack --debug …`"
    )
    assert "Traceback" in cli("--debug", "config", "check", status=1).err


def test_ctrl_c_is_quiet(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pbxtrack.cli.config.load", interrupted)
    assert cli("config", "check", status=130).err.strip() == ""


def test_a_reader_that_goes_is_no_error(cli: Cli) -> None:
    done = subprocess.run(
        f"{sys.executable} -m pbxtrack config check --json | true",
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
