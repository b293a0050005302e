"""The scripted calls, and what the call log must say of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who opens the website: the page they land on and the page they come from."""

    name: str
    page: str
    referrer: str = ""


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """A call and its expected attribution.

    ``dials`` is a visitor (whose leased number is dialled) or a number as a carrier might write it; ``prefix``, where
    given, replaces the leading +7 of a leased number. Times in seconds. ``after`` names the call that must be over.
    """

    name: str
    caller: str | None
    dials: Visitor | str
    channel: str | None
    method: str
    status: str = "answered"
    hung_up_by: str = "caller"
    ring: float = 1.0
    talk: float = 2.0
    hangup: str = "caller"
    prefix: str = "+7"
    caller_name: str | None = None
    after: str | None = None


SHOP = "https://shop.example"
DIRECT_AD = Visitor("anna", f"{SHOP}/sofas?utm_source=yandex&utm_medium=cpc&utm_campaign=sofas-msk&utm_term=buy+sofa")
GOOGLE_AD = Visitor("boris", f"{SHOP}/?gclid=Cj0KCQiA&utm_campaign=brand", "https://www.google.com/")
VK_AD = Visitor("vera", f"{SHOP}/sale?utm_source=vk&utm_medium=cpc&utm_campaign=autumn")
SEARCH = Visitor("gleb", f"{SHOP}/chairs", "https://yandex.ru/")
ASSISTANT = Visitor("dina", f"{SHOP}/delivery", "https://chatgpt.com/")
TYPED = Visitor("egor", f"{SHOP}/")
SOCIAL = Visitor("zoya", f"{SHOP}/tables", "https://vk.com/wall-1_2")
TOO_LATE = Visitor("ivan", f"{SHOP}/", "https://yandex.ru/")  # the pool has seven numbers

VISITORS: Sequence[Visitor] = (DIRECT_AD, GOOGLE_AD, VK_AD, SEARCH, ASSISTANT, TYPED, SOCIAL, TOO_LATE)

BILLBOARD, AVITO = "+74951230001", "84951230002"

CALLS: Sequence[ScriptedCall] = (
    ScriptedCall("billboard", "+79161110001", BILLBOARD, "Billboard M4", "static", talk=4.0),
    ScriptedCall(
        "billboard-line-ends", "+79161110002", "4951230001", "Billboard M4", "static", hung_up_by="line", hangup="line"
    ),
    ScriptedCall("avito", "+79161110003", AVITO, "Avito", "static", caller_name="Мария «Окна»"),
    ScriptedCall("avito-withheld", None, "0074951230002", "Avito", "static", talk=1.0),
    ScriptedCall("avito-busy", "+79161110004", AVITO, "Avito", "static", "busy", "line", ring=0.0),
    ScriptedCall("direct", "+79161110005", DIRECT_AD, "Yandex Direct", "lease", ring=1.5, talk=4.0),
    ScriptedCall("google", "+79161110006", GOOGLE_AD, "Google Ads", "lease", prefix="8"),
    ScriptedCall("vk", "+79161110007", VK_AD, "VK target", "lease", hung_up_by="line", hangup="line", prefix="7"),
    ScriptedCall("search", "+79161110008", SEARCH, "Organic search", "lease", "missed", "pbx", prefix=""),
    ScriptedCall("assistant", "+79161110009", ASSISTANT, "AI assistants", "lease", "abandoned", ring=2.0, prefix="007"),
    ScriptedCall("typed", "+79161110010", TYPED, "Direct", "lease", "busy", "line", ring=0.0),
    ScriptedCall("social", "+79161110011", SOCIAL, "Social", "lease", caller_name='O\'Neil "Bob" <x>'),
    ScriptedCall("overflow", "+79161110012", TOO_LATE, "Organic search", "overflow", talk=1.0),
    ScriptedCall("unknown-number", "+79161110013", "+74957777777", None, "none", talk=1.0),
    ScriptedCall("direct-again", "+79161110005", DIRECT_AD, "Yandex Direct", "caller", after="direct", prefix="8"),
    ScriptedCall("search-again", "+79161110008", SEARCH, "Organic search", "caller", after="search"),
)
