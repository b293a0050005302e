"""The dialplan and manager snippets, fitted to a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pbxtrack.errors import ConfigError

_DIALPLAN, _MANAGER = "extensions_pbxtrack.conf", "manager.d/pbxtrack.conf"
_AS_THEY_ARE = (
    "cel_pbxtrack.conf", "cel_custom_pbxtrack.conf", "cdr_custom_pbxtrack.conf", "stasis_pbxtrack.conf"
)  # fmt: skip
_ASKED = "AGI(agi://127.0.0.1:4573/resolve,pbx1,${CHANNEL(linkedid)})"
_ASK = f" same => n,{_ASKED}\n"
_SECRET = re.compile(r"[^\s;,\"'\\]{8,}")  # what manager.conf takes without quoting


def source_dir() -> Path:
    """Where the shipped files are: in an installed package beside this module, in a checkout at its top."""
    package = Path(__file__).parent
    for folder in (package / "asterisk_conf", package.parent / "asterisk-conf"):
        if folder.is_dir():
            return folder
    raise ConfigError("the asterisk-conf files are missing from this installation; install pbxtrack again")


def render(
    source: Path,
    *,
    agi: Sequence[str],
    node: str,
    ami_user: str,
    ami_secret: str,
    permit: str,
    country_code: str,
    trunk_prefix: str,
) -> dict[str, str]:
    """The files' texts by their path below Asterisk's configuration folder.

    ``agi`` is each service's host:port as Asterisk reaches it, in the order in which they are asked; ``permit`` the
    network that AMI log-ins may come from.
    The shipped files are complete in themselves; what is replaced are the values that they come with.
    """
    if not _SECRET.fullmatch(ami_secret):
        raise ConfigError("ami.secret needs 8 characters or more, and none of: space ; , quotes backslash")
    texts = {name: (source / name).read_text("utf-8") for name in (_DIALPLAN, _MANAGER, *_AS_THEY_ARE)}
    return texts | {
        _DIALPLAN: _replace(
            texts[_DIALPLAN],
            {
                _ASK: "".join(_asks(agi)),
                "PBXTRACK_CALL=pbx1-": f"PBXTRACK_CALL={node}-",
                "/resolve,pbx1,": f"/resolve,{node},",  # of each of them
                '"${PBXTRACK_KEY:0:1}" = "8"': _trunk_test(trunk_prefix),
                "line/7${PBXTRACK_KEY:1}": f"line/{country_code}${{PBXTRACK_KEY:{len(trunk_prefix)}}}",
                "line/7${PBXTRACK_KEY}": f"line/{country_code}${{PBXTRACK_KEY}}",
            },
        ),
        _MANAGER: _replace(
            texts[_MANAGER],
            {
                "[pbxtrack]": f"[{ami_user}]",
                "secret = change-me": f"secret = {ami_secret}",
                "permit = 127.0.0.1/255.255.255.255": f"permit = {permit}",
            },
        ),
    }


def _asks(services: Sequence[str]) -> Iterator[str]:
    """The steps that ask; a service after the first only where those before it said nothing."""
    for index, service in enumerate(services):
        ask = _ASKED.replace("127.0.0.1:4573", service)
        yield f" same => n,ExecIf($[${{LEN(${{PBXTRACK_LINE}})}} = 0]?{ask})\n" if index else f" same => n,{ask}\n"


def _trunk_test(prefix: str) -> str:
    return f'"${{PBXTRACK_KEY:0:{len(prefix)}}}" = "{prefix}"' if prefix else "0 = 1"


def _replace(text: str, values: dict[str, str]) -> str:
    for shipped, wanted in values.items():
        assert shipped in text, f"the shipped file no longer holds {shipped!r}"
        text = text.replace(shipped, wanted)
    return text
