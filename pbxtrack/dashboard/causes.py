"""Why legs ended, as ITU-T Q.850 counts it and Asterisk tells it, in words."""

from __future__ import annotations

from collections.abc import Mapping
from gettext import NullTranslations

from pbxtrack.dashboard.languages import marked

_CAUSES: Mapping[int, str] = {
    0: marked("no cause told"),
    1: marked("no such number"),
    2: marked("no route to the network"),
    3: marked("no route to the number"),
    6: marked("channel unacceptable"),
    16: marked("hung up as usual"),
    17: marked("busy"),
    18: marked("no response"),
    19: marked("no answer"),
    20: marked("not registered"),
    21: marked("refused"),
    22: marked("number changed"),
    25: marked("routing error"),
    26: marked("answered elsewhere"),
    27: marked("out of order"),
    28: marked("incomplete number"),
    29: marked("facility refused"),
    31: marked("ended, no reason told"),
    34: marked("no free line"),
    38: marked("network out of order"),
    41: marked("temporary failure"),
    42: marked("network overloaded"),
    44: marked("line not available"),
    47: marked("no resources"),
    50: marked("not subscribed"),
    55: marked("incoming calls barred"),
    57: marked("not authorised"),
    58: marked("codec or service not available"),
    63: marked("service not available"),
    65: marked("codec or service not supported"),
    66: marked("channel type not supported"),
    69: marked("facility not supported"),
    79: marked("not implemented"),
    88: marked("incompatible destination"),
    96: marked("something required is missing"),
    102: marked("timed out"),
    111: marked("protocol error"),
    127: marked("interworking error"),
}


def cause(number: int | None, texts: NullTranslations) -> str:
    """``17, busy``; the number alone where it has no words here, empty for None."""
    if number is None:
        return ""
    return f"{number}, {texts.gettext(_CAUSES[number])}" if number in _CAUSES else str(number)
