"""Where the lab finds what it ships with, and where it keeps things on this machine."""

import os
from pathlib import Path

from pbxtrack.errors import PbxtrackError

PACKAGE = Path(__file__).resolve().parent.parent


def docker_dir() -> Path:
    """The folder with the lab's ``Dockerfile`` and ``compose.yaml``: in an installed package, or in a checkout."""
    for folder in (PACKAGE / "docker", PACKAGE.parent / "docker"):
        if (folder / "compose.yaml").is_file():
            return folder
    raise PbxtrackError("docker/compose.yaml is missing from this installation of pbxtrack; install it again")


def template_dir() -> Path:
    """The lab's own Asterisk configuration, with ``@NAME@`` where a value goes."""
    return Path(__file__).resolve().parent / "asterisk"


def cache_dir() -> Path:
    """What labs share and ``lab down`` keeps: the unpacked Asterisk and the lock files."""
    return _base("XDG_CACHE_HOME", ".cache") / "pbxtrack"


def labs_dir() -> Path:
    """One folder for each lab that is up."""
    return _base("XDG_STATE_HOME", ".local/state") / "pbxtrack" / "labs"


def _base(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    # The XDG specification has relative paths ignored.
    return Path(value) if value.startswith("/") else Path.home() / default
