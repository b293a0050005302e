"""One site changed, added or removed by the rules of the site file: planned first, and only then made so."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from pbxtrack.access import Access, NotAllowed, NotTheirs
from pbxtrack.sitefile.data import Data, data_of, read_site
from pbxtrack.sitefile.model import Site
from pbxtrack.storage.sites import Plan, apply, lock, plan, read_sites

Edit = Callable[[Data], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change of a site changes. ``applied``: it is so now. ``site``: as it is wanted; None: removed."""

    plan: Plan
    applied: bool
    site: Site | None

    @property
    def digest(self) -> str:
        """A short text that is another one for other changes: what people agreed to is what is done."""
        told = "\n".join(change.render(with_site=True) for change in self.plan.changes)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def summary(self) -> Sequence[str]:
        """The changes for a log, without telephone numbers."""
        signs = Counter(
            f"{change.sign} {change.kind}" + (f" {change.name}" if change.kind in ("pool", "channel") else "")
            for change in self.plan.changes
        )
        return [what if count == 1 else f"{what} ({count})" for what, count in signs.items()]

    @property
    def takes(self) -> bool:
        """Whether something goes, or numbers or addresses come to be something else."""
        return bool(self.plan.held) or any(
            change.sign == "-" or (change.kind in ("number", "address") and change.sign == "~")
            for change in self.plan.changes
        )


Consent = Callable[[Changed], bool]


def unless_held(changed: Changed) -> bool:
    """Agree, unless visitors are shown numbers that would go."""
    return not changed.plan.held


def whatever(changed: Changed) -> bool:
    """Agree to everything."""
    return True


def the_site(connection: Connection, key: str, access: Access) -> Site:
    """A site as the site file has it; NotTheirs where there is none that they see."""
    return _found(read_sites(connection), key, access)


def change_site(
    connection: Connection, key: str, edit: Edit, access: Access, now: datetime, region: str, consent: Consent
) -> Changed:
    """Make one site be as ``edit`` makes its data, if ``consent`` agrees to what that changes.

    Raises NotTheirs, WrongSite, and what ``edit`` raises.
    """
    lock(connection)
    before = read_sites(connection)
    old = _found(before, key, access)
    others = [site for site in before if site.key != key]
    new = read_site({**edit(data_of(old)), "key": key}, region, others, known=access.sees)
    return _make(connection, [new if site.key == key else site for site in before], new, now, consent)


def add_site(
    connection: Connection, data: Mapping[str, Any], access: Access, now: datetime, region: str, consent: Consent
) -> Changed:
    """Add a site, behind the others. Raises NotAllowed for who does not see all sites, and WrongSite."""
    _require_all(access)
    lock(connection)
    before = read_sites(connection)
    new = read_site(data, region, before)
    return _make(connection, [*before, new], new, now, consent)


def remove_site(connection: Connection, key: str, access: Access, now: datetime, consent: Consent) -> Changed:
    """Remove a site; its calls stay. Raises NotAllowed for who does not see all sites, and NotTheirs."""
    _require_all(access)
    lock(connection)
    before = read_sites(connection)
    _found(before, key, access)
    return _make(connection, [site for site in before if site.key != key], None, now, consent)


def _make(connection: Connection, wanted: Sequence[Site], new: Site | None, now: datetime, consent: Consent) -> Changed:
    changed = Changed(plan(connection, wanted, now), False, new)
    if not changed.plan.changes or not consent(changed):
        return changed
    apply(connection, wanted, changed.plan.held, now)
    return Changed(changed.plan, True, new)


def _found(sites: Sequence[Site], key: str, access: Access) -> Site:
    for site in sites:
        if site.key == key and access.sees(key):
            return site
    raise NotTheirs(f"there is no site {key[:64]!r}")


def _require_all(access: Access) -> None:
    if access.sites is not None:
        raise NotAllowed("only who sees all sites may add and remove one")
