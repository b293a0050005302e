"""What built-in channels are called in the language of whoever asks; a site's own are called as people named them.

Addresses, forms and files have the names that calls keep; what people type may be either.
"""

from __future__ import annotations

from gettext import NullTranslations

from pbxtrack.dashboard.languages import marked

BUILT_IN = frozenset(
    {
        marked("Direct"),
        marked("Organic search"),
        marked("Social"),
        marked("Messengers"),
        marked("E-mail"),
        marked("AI assistants"),
        marked("Referral"),
        marked("Other campaigns"),
        marked("Paid"),
    }
)
_OF_SOURCE = marked("Paid: %(source)s")
_SOURCE = "%(source)s"
_PAID = "Paid: "


def channel_name(name: str, texts: NullTranslations) -> str:
    """A channel as it is shown. A site's own of a built-in one's name is shown as that one is."""
    if name in BUILT_IN:
        return texts.gettext(name)
    if name.startswith(_PAID):
        return texts.gettext(_OF_SOURCE) % {"source": name.removeprefix(_PAID)}
    return name


def channel_typed(name: str, texts: NullTranslations) -> str:
    """The channel that :func:`channel_name` shows so: a built-in one's name as calls keep it, any other as it is."""
    for built_in in BUILT_IN:
        if texts.gettext(built_in) == name:
            return built_in
    before, _, after = texts.gettext(_OF_SOURCE).partition(_SOURCE)
    source = name.removeprefix(before).removesuffix(after)
    return _PAID + source if source and name == before + source + after else name
