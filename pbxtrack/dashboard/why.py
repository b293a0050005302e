"""Why a call is attributed as it is, in the language of whoever asks. Pure."""

from __future__ import annotations

from gettext import NullTranslations

from markupsafe import Markup

from pbxtrack.calls.reasons import Counted, Said, read
from pbxtrack.dashboard.channels import channel_name
from pbxtrack.dashboard.languages import Format

_CHANNELS = ("channel", "instead")


def why(sentence: str, texts: NullTranslations, f: Format) -> Markup:
    """The sentence that a call keeps, said anew; one that is of no template as it is. Names from outside are apart."""
    said = read(sentence)
    return Markup("<bdi>%s</bdi>") % sentence if said is None else _say(said, texts, f)


def _say(said: Said, texts: NullTranslations, f: Format) -> Markup:
    values = {name: _value(name, value, texts, f) for name, value in said.values.items()}
    if isinstance(said.template, Counted):
        count = said.values["n"]
        assert isinstance(count, int)
        found = texts.ngettext(*said.template, count)
    else:
        found = texts.gettext(said.template)
    return filled(found, **values)


def filled(text: str, **values: object) -> Markup:
    """A text of ours with its gaps filled: what is no markup is escaped."""
    return Markup(text) % values  # noqa: S704 - the text is ours, or a translation of it


def _value(name: str, value: str | int | Said | None, texts: NullTranslations, f: Format) -> str:
    if isinstance(value, Said):
        return _say(value, texts, f)
    if isinstance(value, int):
        return f.percent(value / 100) if name == "share" else f.number(value)
    if name in _CHANNELS and value:
        value = channel_name(value, texts)
    return Markup("<bdi>%s</bdi>") % value if value else ""
