"""`pbxtrack doctor`: looks at each thing that must be right, and says how to mend what is not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import aiohttp
import sqlalchemy

from pbxtrack.ami.client import AmiClient
from pbxtrack.ami.link import AmiError, AmiLost, AmiRefused, Phase
from pbxtrack.ami.messages import Message, text
from pbxtrack.errors import PbxtrackError
from pbxtrack.health import Finding
from pbxtrack.ledger.cel import read_row
from pbxtrack.ledger.files import text as text_of
from pbxtrack.mail.service import own_hostname
from pbxtrack.mail.upstream import Upstream
from pbxtrack.numbers import shorten
from pbxtrack.settings import Address, AmiSettings, MailSettings, Settings
from pbxtrack.storage import migrate
from pbxtrack.storage.database import Database, parse_url, require_file
from pbxtrack.storage.sites import line_directory
from pbxtrack.storage.spool import files_in, spool_folder, strangers, unusable
from pbxtrack.storage.tables import call_facts, calls, leases, revisions

_PATIENCE = 5.0  # s for any one answer
_CLOCK_LIMIT = 2.0  # s between Asterisk's clock and ours
_DISK_LIMIT = 1024**3  # bytes free
_LOOKED_AT = 100  # lines of a file, to see what it is
_FAMILY = "pbxtrack/line"
_AGI = re.compile(r"agi://([^/]+)/resolve(?:,(\w+))?")
_PING = "agi_network_script: ping\nagi_request: agi://doctor/ping\nagi_uniqueid: doctor\n\n"


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Look at everything, in the order in which things depend on each other."""
    async for finding in _looks(settings):
        yield replace(finding, mend="") if finding.ok else finding


async def _looks(settings: Settings) -> AsyncIterator[Finding]:
    lines: Mapping[str, str] | None = None
    async for finding in _database(settings):
        yield finding
        if finding.name == "schema" and finding.ok:
            lines = await _lines(settings)
    yield _disk(settings)
    yield _spool(settings)
    yield await _api(settings.api.listen)
    yield await _agi(settings.agi.listen)
    if settings.mail.upstream is not None:
        yield await _upstream(settings.mail, settings.mail.upstream)
    for ami in settings.ami:
        async for finding in _asterisk(ami, settings.agi.listen, lines):
            yield finding
        yield _ledger(ami)
        yield _recordings(ami)


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    def look() -> None:
        require_file(settings.database.url)
        with contextlib.closing(Database(settings.database.url)) as database:
            database.read_now(lambda connection: connection.execute(sqlalchemy.text("SELECT 1")))

    def schema() -> None:
        with contextlib.closing(Database(settings.database.url)) as database:
            migrate.check(database)

    def write() -> None:
        """What recording and leasing do, undone again: it fails where a table is locked, or the disk is full."""
        with contextlib.closing(Database(settings.database.url)) as database, database.transaction() as connection:
            for table in (calls, call_facts, leases):
                connection.execute(table.delete().where(sqlalchemy.false()))
            connection.execute(revisions.insert().values(name="doctor", number=0))
            connection.rollback()

    for name, work, mend in (
        ("database", look, "see database.url in the settings, and whether the database runs"),
        ("schema", schema, "pbxtrack db upgrade"),
        ("writing", write, "is the disk full, the database read-only, or a table locked by a dump or a migration?"),
    ):
        try:
            await asyncio.to_thread(work)
        except PbxtrackError as error:
            # A file that is not there yet, and a schema that is not, are mended by the same command.
            yield Finding(name, False, str(error), "pbxtrack db upgrade" if "db upgrade" in str(error) else mend)
            return
        found = {"database": "answers", "schema": f"revision {migrate.head()}", "writing": "works"}
        yield Finding(name, True, found[name])


async def _lines(settings: Settings) -> Mapping[str, str]:
    def look() -> Mapping[str, str]:
        with contextlib.closing(Database(settings.database.url)) as database:
            return database.read_now(line_directory)

    return await asyncio.to_thread(look)


def _disk(settings: Settings) -> Finding:
    url = parse_url(settings.database.url)
    folders = [settings.data_dir]
    if url.get_backend_name() == "sqlite" and url.database:
        folders.append(Path(url.database).parent)
    there = {next(path for path in (folder, *folder.parents, Path("/")) if path.exists()) for folder in folders}
    free, folder = min((shutil.disk_usage(path).free, path) for path in there)
    found = f"{free / 1024**3:.1f} GiB free at {folder}"
    return Finding("disk", free >= _DISK_LIMIT, found, "make room: SQLite and logs need 1 GiB and more")


def _spool(settings: Settings) -> Finding:
    folder = spool_folder(settings.data_dir, parse_url(settings.database.url))
    if reason := unusable(folder):
        mend = "let pbxtrack's user write there: while the database is away, what is heard of calls is kept in it"
        return Finding("spool", False, reason, mend)
    files = files_in(folder)
    if foreign := [path for path in files if not os.access(path, os.R_OK | os.W_OK)]:
        return Finding("spool", False, f"{foreign[0]} is another user's", "give it to pbxtrack's user: chown")
    if waiting := sum(path.stat().st_size for path in files):
        mend = "mend the database: the service brings it there by itself. If none runs: pbxtrack serve"
        return Finding("spool", False, f"{waiting / 1024:.0f} kB of facts about calls wait for the database", mend)
    if others := strangers(settings.data_dir, folder):
        mend = f"if that is this database by another address, move its files to {folder}"
        return Finding("spool", False, f"facts wait for another database in {others[0]}", mend)
    return Finding("spool", True, f"nothing waits in {folder}")


async def _api(listen: Address) -> Finding:
    url = f"http://{listen}/readyz"
    mend = "pbxtrack serve (or see its log)"
    try:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            if response.ok:
                return Finding("service", True, "ready")
            found, known = _not_ready(await response.text(), response.status)
            return Finding("service", False, found, "see the other failing lines" if known else mend)
    except (aiohttp.ClientError, TimeoutError) as error:
        return Finding("service", False, f"nobody answers at {url}{_why(error)}", mend)


def _not_ready(answer: str, status: int) -> tuple[str, bool]:
    """What /readyz says in words, and whether it was pbxtrack that said it."""
    try:
        document = json.loads(answer)
        failing = [
            f"{check['name']}: {check['reason'] or 'not ready'}" for check in document["checks"] if not check["ok"]
        ]
    except (ValueError, TypeError, KeyError):
        failing, document = [], None
    detail = document.get("detail") if isinstance(document, dict) else None
    if not failing and not detail:
        return f"something answers with status {status}, and does not say why", False
    return shorten(f"is not ready: {'; '.join(failing) or detail}", 300), True


async def _agi(listen: Address) -> Finding:
    mend = "pbxtrack serve agi (or see its log); until then calls go to their last known line"
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(listen.host, listen.port)
            writer.write(_PING.encode())
            answer = await reader.read()
            writer.close()
    except (OSError, TimeoutError) as error:
        found = f"nothing listens at {listen}" if isinstance(error, ConnectionRefusedError) else None
        return Finding("FastAGI", False, found or f"does not answer at {listen}{_why(error)}", mend)
    ok = b"PBXTRACK_PONG" in answer
    return Finding("FastAGI", ok, f"answers at {listen}" if ok else f"something else listens at {listen}", mend)


async def _upstream(mail: MailSettings, address: Address) -> Finding:
    upstream = Upstream(
        address, hostname=mail.hostname or own_hostname(), patience=_PATIENCE, starttls=mail.upstream_starttls
    )
    mend = "see mail.upstream in the settings, and whether that server runs; until then messages wait on disk"
    reason = await upstream.look()
    return Finding("mail upstream", not reason, reason or f"answers at {address}", mend)


def _why(error: Exception) -> str:
    """The reason where it is a plain one; the address is in the message already."""
    cause = getattr(error, "os_error", error)
    return ": too slow" if isinstance(cause, TimeoutError) else "" if isinstance(cause, OSError) else f": {error}"


async def _asterisk(ami: AmiSettings, agi: Address, lines: Mapping[str, str] | None) -> AsyncIterator[Finding]:
    name = f"Asterisk {ami.node}"
    try:
        async with _connected(ami) as client:
            yield Finding(f"{name}: AMI", True, f"logged in at {ami.host}:{ami.port} as {ami.username}")
            yield await _rights(client, name)
            yield await _clock(client, name)
            async for finding in _dialplan(client, name, ami.node, agi):
                yield finding
            if lines is not None:
                yield await _directory(client, name, lines)
    except AmiError as error:
        yield Finding(f"{name}: AMI", False, str(error), _mend_ami(error))


def _ledger(ami: AmiSettings) -> Finding:
    """Asterisk's own record of calls. Without one all is well as long as pbxtrack runs, so that is no fault."""
    name = f"Asterisk {ami.node}: records"
    if ami.cel_file is None:
        return Finding(name, True, "none: calls while pbxtrack does not listen are not in the log; see docs/ledger.md")
    mend = "see docs/ledger.md: the folder must be there and Asterisk's own, and CEL be on and loaded"
    try:
        with ami.cel_file.open("rb") as file:
            first = [text_of(line) for line in islice(file, _LOOKED_AT)]
    except FileNotFoundError:
        made = ami.cel_file.parent.is_dir()
        return Finding(name, made, f"{ami.cel_file} is not there" + (" yet; the first call makes it" * made), mend)
    except OSError as error:
        reason = error.strerror or str(error)
        return Finding(name, False, f"{ami.cel_file} cannot be read: {reason}", "let pbxtrack's user read it")
    if first and not any(read_row(line) for line in first):
        return Finding(name, False, f"{ami.cel_file} is not as pbxtrack reads it", mend)
    written = datetime.fromtimestamp(ami.cel_file.stat().st_mtime, UTC)
    return Finding(name, True, f"{ami.cel_file}, last written {written:%Y-%m-%d %H:%M:%S} UTC")


def _recordings(ami: AmiSettings) -> Finding:
    """Where recordings are. Who records nothing needs none."""
    name = f"Asterisk {ami.node}: recordings"
    if ami.recordings is None:
        return Finding(name, True, "cannot be heard: ami.recordings does not say where they are")
    if not ami.recordings.is_dir():
        mend = "ami.recordings must be Asterisk's monitor directory, as this machine finds it"
        return Finding(name, False, f"{ami.recordings} is not there, or not to be seen by this user", mend)
    for folder in (ami.recordings, ami.recordings / "pbxtrack"):
        if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
            return Finding(name, False, f"{folder} cannot be read", "let pbxtrack's user read it: usermod -aG asterisk")
    return Finding(name, True, f"are read from {ami.recordings}")


def _mend_ami(error: AmiError) -> str:
    if "nothing listens" in str(error):
        return (
            "is Asterisk running, and is enabled = yes in [general] of manager.conf? "
            "See also ami.host and ami.port in the settings"
        )
    if isinstance(error, AmiRefused):
        return (
            "ami.username and ami.secret must be those of manager.d/pbxtrack.conf, and its permit must allow this "
            "machine: install the files of `pbxtrack asterisk-conf`, then in Asterisk: manager reload"
        )
    return "install the files of `pbxtrack asterisk-conf`, then in Asterisk: manager reload"


@contextlib.asynccontextmanager
async def _connected(ami: AmiSettings) -> AsyncIterator[AmiClient]:
    async def ignore(_: Message) -> None:
        return

    logged_in = asyncio.Event()

    async def greet() -> None:
        logged_in.set()

    client = AmiClient(ami, on_event=ignore, on_login=greet)
    running = asyncio.create_task(client.run())
    try:
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while not logged_in.is_set():
            if client.state.phase in (Phase.REFUSED, Phase.LOST):
                raise (AmiRefused if client.state.phase is Phase.REFUSED else AmiLost)(client.state.error)
            if asyncio.get_running_loop().time() > deadline:
                raise AmiError(f"{ami.host}:{ami.port} does not answer as an Asterisk does")
            await asyncio.sleep(0.02)
        yield client
    finally:
        client.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _rights(client: AmiClient, name: str) -> Finding:
    try:
        await client.ask("DBPut", Family="pbxtrack/doctor", Key="probe", Val="1")
        await client.ask("DBDel", Family="pbxtrack/doctor", Key="probe")
        await client.ask_list("CoreShowChannels")
    except AmiError as error:
        mend = "give the user write = system,reporting (see `pbxtrack asterisk-conf`)"
        return Finding(f"{name}: rights", False, str(error), mend)
    return Finding(f"{name}: rights", True, "may keep lines and list calls")


async def _clock(client: AmiClient, name: str) -> Finding:
    answer = await client.ask("Ping")
    try:
        theirs = float(text(answer, "Timestamp"))
    except ValueError:
        return Finding(f"{name}: clock", False, "tells no time", "set timestampevents = yes in manager.conf")
    off = theirs - datetime.now(UTC).timestamp()
    return Finding(
        f"{name}: clock", abs(off) <= _CLOCK_LIMIT, f"{_seconds(off)} s from ours", "run NTP on both machines"
    )


def _seconds(off: float) -> str:
    return f"{off:+.3f}" if round(off, 3) else "0.000"


async def _dialplan(client: AmiClient, name: str, node: str, agi: Address) -> AsyncIterator[Finding]:
    try:
        steps = await _plan(client)
    except AmiError as error:
        yield Finding(f"{name}: dialplan", False, str(error), "give the AMI user write = system,reporting")
        return
    asked = [match for context, _, data in steps if context == "pbxtrack" and (match := _AGI.search(data))]
    if not asked:
        mend = 'add  #include "extensions_pbxtrack.conf"  to extensions.conf, then: dialplan reload'
        yield Finding(f"{name}: dialplan", False, "has no context pbxtrack that asks FastAGI", mend)
        return
    ok = any(ask[1].rpartition(":")[2] == str(agi.port) for ask in asked) and all(ask[2] == node for ask in asked)
    found = ", then ".join(f"asks agi://{ask[1]}/resolve as node {ask[2] or '(none)'}" for ask in asked)
    mend = f"it should ask port {agi.port} as node {node}: install what `pbxtrack asterisk-conf --node {node}` writes"
    yield Finding(f"{name}: dialplan", ok, found, mend)
    for ask in asked:
        host, _, port = ask[1].rpartition(":")
        if port != str(agi.port) and port.isdecimal():  # another process's
            yield await _agi(Address(host.strip("[]"), int(port)))
    wired = {context for context, application, data in steps if _sends_here(context, application, data)}
    yield Finding(
        f"{name}: inbound calls",
        bool(wired),
        f"come from {', '.join(sorted(wired)[:5])}" if wired else "no context sends calls to pbxtrack",
        "send your DIDs there:  exten => _X.,1,Goto(pbxtrack,${EXTEN},1)",
    )
    fallback = text(await client.ask("Getvar", Variable="PBXTRACK_FALLBACK_LINE"), "Value")
    yield Finding(
        f"{name}: fallback line",
        bool(fallback),
        fallback or "not set",
        "set the global PBXTRACK_FALLBACK_LINE in extensions.conf: where calls go when nothing else is known",
    )


async def _plan(client: AmiClient) -> Sequence[tuple[str, str, str]]:
    """(context, application, its data) of each step of the dialplan."""
    steps = await client.ask_list("ShowDialPlan")
    return [(text(step, "Context"), text(step, "Application"), text(step, "AppData")) for step in steps]


def _sends_here(context: str, application: str, data: str) -> bool:
    return context != "pbxtrack" and application.lower() in ("goto", "gotoif") and "pbxtrack," in data


async def _directory(client: AmiClient, name: str, lines: Mapping[str, str]) -> Finding:
    try:
        kept = await client.ask_list("DBGetTree", Family=_FAMILY)
    except AmiError:
        return Finding(f"{name}: last known lines", True, "cannot be listed on this Asterisk")
    there = {text(item, "Key").rpartition("/")[2]: text(item, "Val") for item in kept}
    wrong = [did for did, line in lines.items() if there.get(did) != line]
    return Finding(
        f"{name}: last known lines",
        not wrong,
        f"{len(wrong)} of {len(lines)} are missing or old" if wrong else f"all {len(lines)} are kept",
        "after a change the service needs ten seconds to write them; if it does not run: pbxtrack serve",
    )
