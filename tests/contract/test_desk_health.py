"""How the service is, for who mends it at night."""

from __future__ import annotations

import pytest

from pbxtrack.access import Role
from pbxtrack.examining import Examined
from pbxtrack.health import Check, Finding, Readiness
from pbxtrack.metrics import Ami, AmiCounts, Cel, Facts, Snapshot
from pbxtrack.storage.database import Database
from pbxtrack.words import Words, quoted
from tests.contract.desk_client import desk
from tests.contract.site import a_site

SNAPSHOT = Snapshot(
    version="9.9",
    ami={
        "pbx1": Ami(
            listening=True,
            connected=True,
            age=7_200,
            lag=0.25,
            counts=AmiCounts(reconnects=3, lost=4, fallbacks={"timeout": 2, "no_answer": 5}),
        ),
        "pbx2": Ami(),
        "pbx3": Ami(listening=True),
    },
    cel={"pbx1": Cel(following=True, working=True, added=11, mended=12)},
    facts=Facts(in_memory=1, on_disk=41, spooling=True),
)
FINDINGS = [
    Finding("disk", True, "9 GiB free"),
    Finding("Asterisk pbx1: AMI", False, "<b>refused</b>", "see manager.conf"),
]


@pytest.mark.asyncio
async def test_what_fails_is_told_with_how_to_mend_it(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=["+74951230100", "+74951230101"])

    async def ready() -> Readiness:
        return Readiness([Check("database", ok=True), Check("ami pbx3", ok=False, reason="no connection")])

    given = {"ready": ready, "snapshot": lambda: SNAPSHOT, "examined": lambda: Examined(FINDINGS, 12.0)}
    async with desk(database, **given) as reader:
        reader.log_in(database, Role.ENGINEER)
        page = await reader.page("/health")
        for text in (
            "2 things need attention", "see manager.conf", "&lt;b&gt;refused", "12\xa0s ago", "no connection", ">42<",
            "on disk: 41", "no_answer: 5, timeout: 2", ">7<", ">11<", "mended: 12", "2\xa0h", "stands by",
            "not connected", "0 of 2", "9.9",
        ):  # fmt: skip
            assert text in page, text
        part = await reader.page("/health?part=1")
        assert "<html" not in part
        assert part.strip() in page
        assert part.count("data-part=") == 9


@pytest.mark.asyncio
async def test_findings_are_told_in_the_reader_s_language_and_what_others_said_as_they_did(database: Database) -> None:
    findings = [
        Finding(Words("disk"), True, Words("%(free)s GiB free at %(folder)s", free=9.5, folder="<data>")),
        Finding(
            Words("Asterisk %(node)s: AMI", node="pbx1"),
            False,
            quoted("nothing <listens>"),
            Words('add  #include "extensions_pbxtrack.conf"  to extensions.conf, then: dialplan reload'),
        ),
        Finding(
            "FastAGI", False, Words("%(found)s: too slow", found=Words("nobody answers at %(address)s", address="here"))
        ),
    ]

    async def ready() -> Readiness:
        return Readiness([Check("ami pbx1", ok=False, reason=Words("no connection")), Check("new one", ok=True)])

    async with desk(database, ready=ready, examined=lambda: Examined(findings, 0.0)) as reader:
        reader.log_in(database)
        page = await reader.page("/health")
        for text in (
            "9.5 GiB free at <bdi>&lt;data&gt;</bdi>", '<bdi lang="en">nothing &lt;listens&gt;</bdi>', "no connection",
            "nobody answers at <bdi>here</bdi>: too slow", "new one",
        ):  # fmt: skip
            assert text in page, text
        await reader.send("/language", language="ru")
        page = await reader.page("/health")
        for text in (
            "свободно 9,5 ГиБ в <bdi>&lt;data&gt;</bdi>", '«<bdi lang="en">nothing &lt;listens&gt;</bdi>»', "нет связи",
            "Asterisk <bdi>pbx1</bdi>: AMI", "добавьте  #include &#34;extensions_pbxtrack.conf&#34;  в extensions.conf",
            "<bdi>here</bdi> не отвечает: истекло время ожидания", "new one",
        ):  # fmt: skip
            assert text in page, text


@pytest.mark.asyncio
async def test_where_nothing_is_wrong_that_is_said(database: Database) -> None:
    async with desk(database, examined=lambda: Examined(FINDINGS[:1], 0.0)) as reader:
        reader.log_in(database)
        page = await reader.page("/health")
        assert "All is well." in page
        assert "What to mend" not in page
    async with desk(database) as reader:
        reader.log_in(database)
        page = await reader.page("/health")
        assert "All is well." not in page, "nobody has looked yet"
        assert "Being looked at" in page


@pytest.mark.asyncio
async def test_who_has_one_site_sees_that_one_s_numbers(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=["+74951230100"])
        a_site(connection, key="secret-one", pool=["+74951230200"])
    async with desk(database) as reader:
        reader.log_in(database, Role.ENGINEER, frozenset({"demo"}), name="eve")
        page = await reader.page("/health")
        assert "demo" in page
        assert "secret-one" not in page
