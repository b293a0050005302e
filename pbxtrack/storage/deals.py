"""What contacts bought: written in one piece or not at all, each known by its id in the company's CRM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from pbxtrack.access import Access
from pbxtrack.errors import PbxtrackError
from pbxtrack.money.deals import DealStatus, times
from pbxtrack.numbers import read_caller
from pbxtrack.storage.deal_views import TEXTS, deal_detail, document
from pbxtrack.storage.money_audit import Change, Kind, note
from pbxtrack.storage.money_rows import lock_site, locked_row
from pbxtrack.storage.prepared import Among
from pbxtrack.storage.tables import calls, contacts, deals

TIES = ("contact", "call", "caller")
"""What may tell whose a deal is: a contact's id, a call's, or the number that somebody calls from."""


class InvalidDeals(PbxtrackError):
    """Deals that cannot be. ``wrong``: which of them, from 0 on, by what, and why."""

    def __init__(self, wrong: Sequence[tuple[int, str, str]]) -> None:
        super().__init__(wrong[0][2])
        self.wrong = wrong


class DealConflict(PbxtrackError):
    """A deal of this external id is there already."""


def write_deals(
    connection: Connection, site_id: int, wanted: Sequence[Mapping[str, Any]], who: str, now: datetime, region: str
) -> tuple[int, list[int]]:
    """Write deals of a site: one whose external id is known changes, and what is left out of it stays.

    ``amount`` in hundredths; one of :data:`TIES` for a new one; ``region`` says how numbers without a country are
    read. How many are new, and the ids of all in their order. Raises InvalidDeals.
    """
    lock_site(connection, site_id)
    wrong: list[tuple[int, str, str]] = []
    known = _known(connection, site_id, wanted, wrong)
    ties = _ties(connection, site_id, wanted, region, wrong)
    new, ids, changes = 0, [], []
    for index, fields in enumerate(wanted):
        row = known.get(fields.get("external_id") or "")
        if row is None and index not in ties and not wrong:
            wrong.append((index, "", f"needs one of {', '.join(TIES)}, since no deal of its external_id is known"))
        if wrong:
            continue
        try:
            values = _merged(row, {**fields, **ties.get(index, {})}, now)
        except ValueError as error:
            wrong.append((index, "", str(error)))
            continue
        if row is None:
            inserted = connection.execute(deals.insert().values(site_id=site_id, **values)).inserted_primary_key
            assert inserted is not None
            new, row_id = new + 1, int(inserted[0])
            changes.append(Change(row_id, None, document(values)))
        else:
            row_id = row.id
            changes += _update(connection, row, values)
        ids.append(row_id)
    if wrong:
        raise InvalidDeals(sorted(wrong))
    note(connection, site_id, Kind.DEAL, who, now, changes)
    return new, ids


def change_deal(
    connection: Connection, deal_id: int, changes: Mapping[str, Any], access: Access, now: datetime, region: str
) -> dict[str, Any] | None:
    """Change a deal's fields; the deal as it is then, None if there is none that whoever asks may see.

    Raises DealConflict where another has the external id, InvalidDeals where there is no such deal.
    """
    row = locked_row(connection, deals, deal_id, access)
    if row is None:
        return None
    wrong: list[tuple[int, str, str]] = []
    ties = _ties(connection, row.site_id, [changes], region, wrong)
    if wrong:
        raise InvalidDeals(wrong)
    try:
        values = _merged(row, {**changes, **ties.get(0, {})}, now)
    except ValueError as error:
        raise InvalidDeals([(0, "", str(error))]) from None
    twin = select(deals.c.id).where(
        deals.c.site_id == row.site_id, deals.c.external_id == values["external_id"], deals.c.id != deal_id
    )
    if (other := connection.scalar(twin)) is not None:
        raise DealConflict(f"the deal {other} has this external_id")
    note(connection, row.site_id, Kind.DEAL, access.name, now, _update(connection, row, values))
    return deal_detail(connection, deal_id, access)


def remove_deal(connection: Connection, deal_id: int, access: Access, now: datetime) -> bool:
    """Remove a deal; whether there was one that whoever asks may see."""
    row = locked_row(connection, deals, deal_id, access)
    if row is None:
        return False
    connection.execute(delete(deals).where(deals.c.id == deal_id))
    change = Change(deal_id, document(row._mapping), None)
    note(connection, row.site_id, Kind.DEAL, access.name, now, [change])
    return True


def _known(
    connection: Connection, site_id: int, wanted: Sequence[Mapping[str, Any]], wrong: list[tuple[int, str, str]]
) -> dict[str, Row[Any]]:
    """The deals that are there already, by their external ids."""
    seen: dict[str, int] = {}
    for index, fields in enumerate(wanted):
        external = fields.get("external_id")
        if external is not None and (same := seen.setdefault(external, index)) != index:
            wrong.append((index, "external_id", f"is that of the item {same}, too"))
    rows = connection.execute(
        select(deals).where(deals.c.site_id == site_id, Among(deals.c.external_id, "ids")), {"ids": list(seen)}
    )
    return {row.external_id: row for row in rows}


def _ties(
    connection: Connection,
    site_id: int,
    wanted: Sequence[Mapping[str, Any]],
    region: str,
    wrong: list[tuple[int, str, str]],
) -> dict[int, dict[str, Any]]:
    """Whose the deals are, of those that say so: the contact, and the call where one is named."""
    asked: dict[str, dict[int, Any]] = {
        name: {index: fields[name] for index, fields in enumerate(wanted) if fields.get(name) is not None}
        for name in TIES
    }
    callers = {index: read_caller(text, region) for index, text in asked["caller"].items()}
    numbers = [caller for caller in callers.values() if caller]
    of_site = contacts.c.site_id == site_id
    found = select(contacts.c.id, contacts.c.caller).where(of_site)
    by_caller = {row.caller: row.id for row in connection.execute(found.where(Among(contacts.c.caller, "callers")),
                                                                  {"callers": numbers})}  # fmt: skip
    by_id = {row.id for row in connection.execute(found.where(Among(contacts.c.id, "ids")),
                                                  {"ids": list(asked["contact"].values())})}  # fmt: skip
    statement = select(calls.c.id, calls.c.contact_id).where(calls.c.site_id == site_id, Among(calls.c.id, "ids"))
    by_call = {row.id: row.contact_id for row in connection.execute(statement, {"ids": list(asked["call"].values())})}
    ties: dict[int, dict[str, Any]] = {}
    for index, call in asked["call"].items():
        if call in by_call:
            ties[index] = {"contact_id": by_call[call], "call_id": call}
        else:
            wrong.append((index, "call", "the site has no such call"))
    for index, contact in asked["contact"].items():
        if contact in by_id:
            ties[index] = {"contact_id": contact, "call_id": None}
        else:
            wrong.append((index, "contact", "the site has no such contact"))
    for index, caller in callers.items():
        if caller in by_caller:
            ties[index] = {"contact_id": by_caller[caller], "call_id": None}
        else:
            wrong.append((index, "caller", "nobody has called the site from this number"))
    return ties


def _merged(row: Row[Any] | None, fields: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A deal's values with these changes. ValueError where its times do not fit its status."""
    values: dict[str, Any] = {"contact_id": None, "call_id": None, "amount": 0, "status": DealStatus.OPEN}
    values |= {"opened_at": now, **dict.fromkeys((*TEXTS, "won_at", "closed_at"))}
    if row is not None:
        values = {name: row._mapping[name] for name in values}
    status = DealStatus(fields.get("status") or values["status"])
    if status != values["status"]:  # when it was won says nothing of when it was lost
        values |= {"won_at": None, "closed_at": None}
    if "won_at" in fields:
        values["closed_at"] = None  # that which was taken from it
    values |= {name: value for name, value in fields.items() if name in values and (value or name != "opened_at")}
    found = times(status, values["opened_at"], values["won_at"], values["closed_at"], now)
    return values | {
        "status": status.value, "won_at": found.won_at, "closed_at": found.closed_at, "at": found.at,
    }  # fmt: skip


def _update(connection: Connection, row: Row[Any], values: Mapping[str, Any]) -> list[Change]:
    change = Change.between(row.id, document(row._mapping), document(values))
    if change is None:
        return []
    connection.execute(update(deals).where(deals.c.id == row.id).values(dict(values)))
    return [change]
