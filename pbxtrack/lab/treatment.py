"""How the phone at a line shall treat a call; what the caller puts into the header ``X-Lab-Call``."""

from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl, urlencode


@dataclass(frozen=True)
class Treatment:
    """Times are in milliseconds.

    Of the lines that ring, only `only` ("sales") answers; "": whichever is first. `outcome` is "answered", "busy",
    "missed" (rings until the other side gives up) or "rejected" (with `status`). `hangup` is who ends an answered call:
    "caller" or "line", after `talk`. `transfer` is a line ("support") to which the phone transfers the call blindly
    after `talk`. With `audio` the phone's voice is sent while it talks.
    """

    call: str = ""
    outcome: str = "answered"
    ring: int = 300
    talk: int = 3000
    hangup: str = "caller"
    status: int = 480
    transfer: str = ""
    only: str = ""
    audio: bool = False

    def header(self) -> str:
        """The value for a SIP header: ``call=…&ring=300``."""
        changed = {key: value for key, value in asdict(self).items() if value != getattr(DEFAULT, key)}
        return urlencode({key: int(value) if isinstance(value, bool) else value for key, value in changed.items()})

    @staticmethod
    def from_header(value: str) -> "Treatment":
        """Read a header; what is missing or unreadable is as in the default."""
        given = dict(parse_qsl(value))

        def number(key: str, default: int) -> int:
            return int(given[key]) if given.get(key, "").isdecimal() else default

        return Treatment(
            call=given.get("call", ""),
            outcome=given.get("outcome", DEFAULT.outcome),
            ring=number("ring", DEFAULT.ring),
            talk=number("talk", DEFAULT.talk),
            hangup=given.get("hangup", DEFAULT.hangup),
            status=number("status", DEFAULT.status),
            transfer=given.get("transfer", ""),
            only=given.get("only", ""),
            audio=given.get("audio") == "1",
        )


DEFAULT = Treatment()
