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
from functools import reduce
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
from pbxtrack.words import Words, quoted

_PATIENCE = 5.0  # s for any one answer
_CLOCK_LIMIT = 2.0  # s between Asterisk's clock and ours
_DISK_LIMIT = 1024**3  # bytes free
_LOOKED_AT = 100  # lines of a file, to see what it is
_FAMILY = "pbxtrack/line"
_UPGRADE = "pbxtrack db upgrade"
_SCHEMA = Words("schema")
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
        if finding.name is _SCHEMA and finding.ok:
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

    for name, work, works, mend in (
        (
            Words("database"),
            look,
            Words("answers"),
            Words("see database.url in the settings, and whether the database runs"),
        ),
        (_SCHEMA, schema, Words("revision %(revision)s", revision=migrate.head()), _UPGRADE),
        (
            Words("writing"),
            write,
            Words("works"),
            Words("is the disk full, the database read-only, or a table locked by a dump or a migration?"),
        ),
    ):
        try:
            await asyncio.to_thread(work)
        except PbxtrackError as error:
            # A file that is not there yet, and a schema that is not, are mended by the same command.
            yield Finding(name, False, quoted(error), _UPGRADE if "db upgrade" in str(error) else mend)
            return
        yield Finding(name, True, works)


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
    found = Words("%(free)s GiB free at %(folder)s", free=round(free / 1024**3, 1), folder=folder)
    mend = Words("make room: SQLite and logs need 1 GiB and more")
    return Finding(Words("disk"), free >= _DISK_LIMIT, found, mend)


def _spool(settings: Settings) -> Finding:
    folder = spool_folder(settings.data_dir, parse_url(settings.database.url))
    name = Words("spool")
    if reason := unusable(folder):
        mend = Words(
            "let pbxtrack's user write there: while the database is away, what is heard of calls is kept in it"
        )
        return Finding(name, False, reason, mend)
    files = files_in(folder)
    if foreign := [path for path in files if not os.access(path, os.R_OK | os.W_OK)]:
        found = Words("%(path)s is another user's", path=foreign[0])
        return Finding(name, False, found, Words("give it to pbxtrack's user: chown"))
    if waiting := sum(path.stat().st_size for path in files):
        found = Words("%(size)s kB of facts about calls wait for the database", size=round(waiting / 1024))
        mend = Words("mend the database: the service brings it there by itself. If none runs: pbxtrack serve")
        return Finding(name, False, found, mend)
    if others := strangers(settings.data_dir, folder):
        found = Words("facts wait for another database in %(path)s", path=others[0])
        mend = Words("if that is this database by another address, move its files to %(folder)s", folder=folder)
        return Finding(name, False, found, mend)
    return Finding(name, True, Words("nothing waits in %(folder)s", folder=folder))


async def _api(listen: Address) -> Finding:
    url = f"http://{listen}/readyz"
    name, mend = Words("service"), Words("pbxtrack serve (or see its log)")
    try:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            if response.ok:
                return Finding(name, True, Words("ready"))
            found, known = _not_ready(await response.text(), response.status)
            return Finding(name, False, found, Words("see the other failing lines") if known else mend)
    except (aiohttp.ClientError, TimeoutError) as error:
        return Finding(name, False, _because(Words("nobody answers at %(address)s", address=url), error), mend)


def _not_ready(answer: str, status: int) -> tuple[Words, bool]:
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
        return Words("something answers with status %(status)s, and does not say why", status=str(status)), False
    return Words("is not ready: %(error)s", error=shorten("; ".join(failing) or str(detail), 300)), True


async def _agi(listen: Address) -> Finding:
    mend = Words("pbxtrack serve agi (or see its log); until then calls go to their last known line")
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(listen.host, listen.port)
            writer.write(_PING.encode())
            answer = await reader.read()
            writer.close()
    except ConnectionRefusedError:
        return Finding("FastAGI", False, Words("nothing listens at %(address)s", address=listen), mend)
    except (OSError, TimeoutError) as error:
        found = _because(Words("does not answer at %(address)s", address=listen), error)
        return Finding("FastAGI", False, found, mend)
    if b"PBXTRACK_PONG" not in answer:
        return Finding("FastAGI", False, Words("something else listens at %(address)s", address=listen), mend)
    return Finding("FastAGI", True, Words("answers at %(address)s", address=listen))


async def _upstream(mail: MailSettings, address: Address) -> Finding:
    upstream = Upstream(
        address, hostname=mail.hostname or own_hostname(), patience=_PATIENCE, starttls=mail.upstream_starttls
    )
    mend = Words("see mail.upstream in the settings, and whether that server runs; until then messages wait on disk")
    if reason := await upstream.look():
        return Finding(Words("mail upstream"), False, quoted(reason), mend)
    return Finding(Words("mail upstream"), True, Words("answers at %(address)s", address=address))


def _because(found: Words, error: Exception) -> Words:
    """What was found, with the reason where it is a plain one; the address is in the message already."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, TimeoutError):
        return Words("%(found)s: too slow", found=found)
    return found if isinstance(cause, OSError) else Words("%(found)s: %(error)s", found=found, error=str(error))


async def _asterisk(ami: AmiSettings, agi: Address, lines: Mapping[str, str] | None) -> AsyncIterator[Finding]:
    node = ami.node
    name = Words("Asterisk %(node)s: AMI", node=node)
    try:
        async with _connected(ami) as client:
            address = f"{ami.host}:{ami.port}"
            yield Finding(name, True, Words("logged in at %(address)s as %(user)s", address=address, user=ami.username))
            yield await _rights(client, node)
            yield await _clock(client, node)
            async for finding in _dialplan(client, node, agi):
                yield finding
            if lines is not None:
                yield await _directory(client, node, lines)
    except AmiError as error:
        yield Finding(name, False, quoted(error), _mend_ami(error))


def _ledger(ami: AmiSettings) -> Finding:
    """Asterisk's own record of calls. Without one all is well as long as pbxtrack runs, so that is no fault."""
    name, path = Words("Asterisk %(node)s: records", node=ami.node), ami.cel_file
    if path is None:
        found = Words("none: calls while pbxtrack does not listen are not in the log; see docs/ledger.md")
        return Finding(name, True, found)
    mend = Words("see docs/ledger.md: the folder must be there and Asterisk's own, and CEL be on and loaded")
    try:
        with path.open("rb") as file:
            first = [text_of(line) for line in islice(file, _LOOKED_AT)]
    except FileNotFoundError:
        if path.parent.is_dir():
            return Finding(name, True, Words("%(path)s is not there yet; the first call makes it", path=path))
        return Finding(name, False, Words("%(path)s is not there", path=path), mend)
    except OSError as error:
        found = Words("%(path)s cannot be read: %(error)s", path=path, error=error.strerror or str(error))
        return Finding(name, False, found, Words("let pbxtrack's user read it"))
    if first and not any(read_row(line) for line in first):
        return Finding(name, False, Words("%(path)s is not as pbxtrack reads it", path=path), mend)
    written = f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Finding(name, True, Words("%(path)s, last written %(time)s", path=path, time=written))


def _recordings(ami: AmiSettings) -> Finding:
    """Where recordings are. Who records nothing needs none."""
    name = Words("Asterisk %(node)s: recordings", node=ami.node)
    if ami.recordings is None:
        return Finding(name, True, Words("cannot be heard: ami.recordings does not say where they are"))
    if not ami.recordings.is_dir():
        found = Words("%(path)s is not there, or not to be seen by this user", path=ami.recordings)
        mend = Words("ami.recordings must be Asterisk's monitor directory, as this machine finds it")
        return Finding(name, False, found, mend)
    for folder in (ami.recordings, ami.recordings / "pbxtrack"):
        if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
            mend = Words("let pbxtrack's user read it: usermod -aG asterisk")
            return Finding(name, False, Words("%(path)s cannot be read", path=folder), mend)
    return Finding(name, True, Words("are read from %(path)s", path=ami.recordings))


def _mend_ami(error: AmiError) -> Words:
    if "nothing listens" in str(error):
        return Words(
            "is Asterisk running, and is enabled = yes in [general] of manager.conf? "
            "See also ami.host and ami.port in the settings"
        )
    if isinstance(error, AmiRefused):
        return Words(
            "ami.username and ami.secret must be those of manager.d/pbxtrack.conf, and its permit must allow this "
            "machine: install the files of `pbxtrack asterisk-conf`, then in Asterisk: manager reload"
        )
    return Words("install the files of `pbxtrack asterisk-conf`, then in Asterisk: manager reload")


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


async def _rights(client: AmiClient, node: str) -> Finding:
    name = Words("Asterisk %(node)s: rights", node=node)
    try:
        await client.ask("DBPut", Family="pbxtrack/doctor", Key="probe", Val="1")
        await client.ask("DBDel", Family="pbxtrack/doctor", Key="probe")
        await client.ask_list("CoreShowChannels")
    except AmiError as error:
        mend = Words("give the user write = system,reporting (see `pbxtrack asterisk-conf`)")
        return Finding(name, False, quoted(error), mend)
    return Finding(name, True, Words("may keep lines and list calls"))


async def _clock(client: AmiClient, node: str) -> Finding:
    name = Words("Asterisk %(node)s: clock", node=node)
    answer = await client.ask("Ping")
    try:
        theirs = float(text(answer, "Timestamp"))
    except ValueError:
        return Finding(name, False, Words("tells no time"), Words("set timestampevents = yes in manager.conf"))
    off = theirs - datetime.now(UTC).timestamp()
    return Finding(name, abs(off) <= _CLOCK_LIMIT, _beside_ours(off), Words("run NTP on both machines"))


def _beside_ours(off: float) -> Words:
    """How a clock goes that is so many seconds before ours."""
    seconds = round(abs(off), 3)
    if not seconds:
        return Words("as ours")
    if off > 0:
        return Words("%(seconds)s s ahead of ours", seconds=seconds)
    return Words("%(seconds)s s behind ours", seconds=seconds)


async def _dialplan(client: AmiClient, node: str, agi: Address) -> AsyncIterator[Finding]:
    name = Words("Asterisk %(node)s: dialplan", node=node)
    try:
        steps = await _plan(client)
    except AmiError as error:
        yield Finding(name, False, quoted(error), Words("give the AMI user write = system,reporting"))
        return
    asked = [match for context, _, data in steps if context == "pbxtrack" and (match := _AGI.search(data))]
    if not asked:
        mend = Words('add  #include "extensions_pbxtrack.conf"  to extensions.conf, then: dialplan reload')
        yield Finding(name, False, Words("has no context pbxtrack that asks FastAGI"), mend)
        return
    ok = any(ask[1].rpartition(":")[2] == str(agi.port) for ask in asked) and all(ask[2] == node for ask in asked)
    found = reduce(lambda first, then: Words("%(first)s, then %(then)s", first=first, then=then), map(_asks, asked))
    mend = Words(
        "it should ask port %(port)s as node %(node)s: install what `pbxtrack asterisk-conf --node %(node)s` writes",
        port=str(agi.port),
        node=node,
    )
    yield Finding(name, ok, found, mend)
    for ask in asked:
        host, _, port = ask[1].rpartition(":")
        if port != str(agi.port) and port.isdecimal():  # another process's
            yield await _agi(Address(host.strip("[]"), int(port)))
    wired = {context for context, application, data in steps if _sends_here(context, application, data)}
    yield Finding(
        Words("Asterisk %(node)s: inbound calls", node=node),
        bool(wired),
        Words("come from %(contexts)s", contexts=", ".join(sorted(wired)[:5]))
        if wired
        else Words("no context sends calls to pbxtrack"),
        Words("send your DIDs there:  exten => _X.,1,Goto(pbxtrack,${EXTEN},1)"),
    )
    fallback = text(await client.ask("Getvar", Variable="PBXTRACK_FALLBACK_LINE"), "Value")
    yield Finding(
        Words("Asterisk %(node)s: fallback line", node=node),
        bool(fallback),
        fallback or Words("not set"),
        Words("set the global PBXTRACK_FALLBACK_LINE in extensions.conf: where calls go when nothing else is known"),
    )


def _asks(ask: re.Match[str]) -> Words:
    """What a step of the dialplan asks FastAGI."""
    if not ask[2]:
        return Words("asks agi://%(address)s/resolve without a node", address=ask[1])
    return Words("asks agi://%(address)s/resolve as node %(node)s", address=ask[1], node=ask[2])


async def _plan(client: AmiClient) -> Sequence[tuple[str, str, str]]:
    """(context, application, its data) of each step of the dialplan."""
    steps = await client.ask_list("ShowDialPlan")
    return [(text(step, "Context"), text(step, "Application"), text(step, "AppData")) for step in steps]


def _sends_here(context: str, application: str, data: str) -> bool:
    return context != "pbxtrack" and application.lower() in ("goto", "gotoif") and "pbxtrack," in data


async def _directory(client: AmiClient, node: str, lines: Mapping[str, str]) -> Finding:
    name = Words("Asterisk %(node)s: last known lines", node=node)
    try:
        kept = await client.ask_list("DBGetTree", Family=_FAMILY)
    except AmiError:
        return Finding(name, True, Words("cannot be listed on this Asterisk"))
    there = {text(item, "Key").rpartition("/")[2]: text(item, "Val") for item in kept}
    wrong = [did for did, line in lines.items() if there.get(did) != line]
    if not wrong:
        return Finding(name, True, Words("all %(all)s are kept", all=len(lines)))
    return Finding(
        name,
        False,
        Words("%(n)s of %(all)s are missing or old", n=len(wrong), all=len(lines)),
        Words("after a change the service needs ten seconds to write them; if it does not run: pbxtrack serve"),
    )
