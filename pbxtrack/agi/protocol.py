"""FastAGI's bytes: the environment that Asterisk sends, the commands that it takes. Pure.

Everything in the environment is the caller's or the carrier's to choose, so it is read without trust: bad bytes are
replaced, lines that are no ``name: value`` are passed over, and sizes are bounded before this module sees them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pbxtrack.numbers import MAX_LENGTH

MAX_ENVIRONMENT = 16_384  # bytes; Asterisk's own is under 2,000 unless a caller's name is huge
MAX_VALUE = 512  # characters of one value that are kept
_RESTRICTED = 0x20  # bits 5 and 6 of the Q.931 octet 3a: 01 presentation restricted
_PRESENTATION = 0x60
_MAX_PLAIN = 160  # bytes; nine of them make a line that Asterisk reads whole
_READ = frozenset(
    {"agi_request", "agi_network_script", "agi_uniqueid", "agi_extension"}
    | {"agi_callerid", "agi_calleridname", "agi_callingpres"}
    | {f"agi_arg_{index}" for index in range(1, 10)}
)
_SPECIAL = frozenset("\"',\\()[]{}|;$")  # what MSet or the AGI parser would read as syntax


class NotAgi(Exception):
    """What arrived is not an AGI environment."""


@dataclass(frozen=True, slots=True)
class AgiRequest:
    """What Asterisk says of the call. ``caller`` is None when the number is withheld or unknown."""

    script: str
    uniqueid: str
    dialled: str
    caller: str | None
    caller_name: str | None
    withheld: bool
    arguments: Sequence[str] = field(default=())


def parse_environment(data: bytes) -> AgiRequest:
    """Read the environment, up to its empty line. Raises NotAgi where it is none."""
    fields: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").split("\n"):
        name, colon, value = line.partition(": ")
        if colon and name in _READ:
            fields.setdefault(name, clean(value))
    if not fields.get("agi_uniqueid") or "agi_request" not in fields:
        raise NotAgi("no agi_uniqueid and agi_request")
    number = fields.get("agi_callerid", "")
    withheld = _restricted(fields.get("agi_callingpres", "0"))
    return AgiRequest(
        script=fields.get("agi_network_script", "").partition("?")[0],
        uniqueid=fields["agi_uniqueid"][:MAX_LENGTH],
        dialled=fields.get("agi_extension", "")[:MAX_LENGTH],
        caller=None if withheld or number in ("", "unknown") else number[:MAX_LENGTH],
        caller_name=_known(fields.get("agi_calleridname")),
        withheld=withheld,
        arguments=_arguments(fields),
    )


def clean(text: str) -> str:
    """Text from outside without control characters, and not longer than is kept."""
    if not text.isprintable():
        text = "".join(character for character in text if character.isprintable())
    return text[:MAX_VALUE].strip()


def set_variables(variables: Mapping[str, str]) -> bytes:
    """Commands that set channel variables, to be sent in one piece, followed by the end of the stream.

    Plain values go in one EXEC MSet, which is one round trip; the others each by SET VARIABLE, since MSet splits at
    commas and strips quotes. Asterisk reads commands after the first only because the stream has ended: without
    that, it would wait for more bytes with our commands already in its buffer. The order is kept only among the
    plain and among the others: the last variable of all is always set last.
    """
    names = list(variables)
    plain = {name: value for name, value in variables.items() if _plain(value)}
    commands = [f'SET VARIABLE {name} "{_quote(variables[name])}"' for name in names if name not in plain]
    if plain:
        assignments = ",".join(f"{name}={value}" for name, value in plain.items())
        commands.insert(0 if names[-1] not in plain else len(commands), f'EXEC MSet "{assignments}"')
    return "".join(command + "\n" for command in commands).encode()


def _plain(value: str) -> bool:
    return value.isprintable() and len(value.encode()) <= _MAX_PLAIN and _SPECIAL.isdisjoint(value)


def _quote(value: str) -> str:
    return clean(value).replace("\\", "\\\\").replace('"', '\\"')


def _known(name: str | None) -> str | None:
    return None if name in (None, "", "unknown") else name


def _restricted(presentation: str) -> bool:
    return presentation.isascii() and presentation.isdigit() and int(presentation) & _PRESENTATION == _RESTRICTED


def _arguments(fields: Mapping[str, str]) -> list[str]:
    arguments = []
    for index in range(1, 10):
        if f"agi_arg_{index}" not in fields:
            break
        arguments.append(fields[f"agi_arg_{index}"])
    return arguments
