"""An AGI environment, as Asterisk 22 sends it."""

from __future__ import annotations

from collections.abc import Sequence


def environment(*, arguments: Sequence[str] = (), script: str = "resolve", **values: str | bytes) -> bytes:
    """The bytes, with some of the values changed."""
    fields: dict[str, str | bytes] = {
        "network": "yes",
        "network_script": script,
        "request": f"agi://127.0.0.1:4573/{script}",
        "channel": "PJSIP/carrier-00000000",
        "language": "en",
        "type": "PJSIP",
        "uniqueid": "1795359639.0",
        "version": "22.10.1",
        "callerid": "+79161234567",
        "calleridname": "unknown",
        "callingpres": "0",
        "callingani2": "0",
        "callington": "0",
        "callingtns": "0",
        "dnid": "+74951230100",
        "rdnis": "unknown",
        "context": "pbxtrack",
        "extension": "+74951230100",
        "priority": "3",
        "enhanced": "0.0",
        "accountcode": "",
        "threadid": "139856792721088",
        **values,
    }
    fields |= {f"arg_{index}": argument for index, argument in enumerate(arguments, 1)}
    return b"".join(_line(name, value) for name, value in fields.items()) + b"\n"


def _line(name: str, value: str | bytes) -> bytes:
    return f"agi_{name}: ".encode() + (value if isinstance(value, bytes) else value.encode()) + b"\n"
