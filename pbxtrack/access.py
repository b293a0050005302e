"""Who may do what, and at which sites: of people and of programs alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pbxtrack.errors import PbxtrackError


class Role(StrEnum):
    """What somebody is to the company."""

    OWNER = "owner"
    MANAGER = "manager"
    ENGINEER = "engineer"


class Right(StrEnum):
    """Something that not everybody may do."""

    READ = "read"  # calls and reports
    LISTEN = "listen"  # to recordings
    WRITE = "write"  # notes, corrections, costs, deals
    CONFIGURE = "configure"  # sites, channels, numbers
    OPERATE = "operate"  # see how the service is, of all sites together
    PEOPLE = "people"  # people, and tokens


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.MANAGER: frozenset({Right.READ, Right.LISTEN, Right.WRITE}),
    # What customers say is nothing that a telephone exchange needs to know to work.
    Role.ENGINEER: frozenset({Right.READ, Right.CONFIGURE, Right.OPERATE}),
}


class NotAllowed(PbxtrackError):
    """Whoever asks may not do this at all."""


class NotTheirs(PbxtrackError):
    """Whoever asks may not see this site; it is as if there were none."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks. ``sites`` (keys) are those that they see; None: all, and what belongs to none.

    ``name`` is written beside what they change.
    """

    name: str
    role: Role
    sites: frozenset[str] | None = None

    def may(self, right: Right) -> bool:
        """Whether they may do this at the sites that they see."""
        return right in RIGHTS[self.role]

    def require(self, right: Right) -> None:
        """NotAllowed unless they may."""
        if not self.may(right):
            raise NotAllowed(f"the role {self.role.value} may not do this")

    def sees(self, site: str | None) -> bool:
        """Whether what belongs to the site is theirs to see; None: what belongs to no site."""
        return self.sites is None or site in self.sites

    def covers(self, role: Role, sites: frozenset[str] | None) -> bool:
        """Whether a role at these sites (None: all) is nothing more than they have themselves."""
        within = self.sites is None or (sites is not None and sites <= self.sites)
        return within and RIGHTS[role] <= RIGHTS[self.role]

    def among(self, asked: Sequence[str]) -> Sequence[str]:
        """The sites that a question is about: those asked for; none: all of theirs. Empty means all there are.

        NotTheirs where one of them is not, NotAllowed for who has no site.
        """
        if self.sites is None:
            return asked
        if not self.sites:
            raise NotAllowed("no site is yours yet; ask an owner for one")
        if foreign := [key for key in asked if key not in self.sites]:
            raise NotTheirs(f"there is no site {foreign[0][:64]!r}")
        return asked or sorted(self.sites)
