"""The templates of the pages, one set for each language."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from pbxtrack import __version__
from pbxtrack.access import Right
from pbxtrack.dashboard import charts, languages, static
from pbxtrack.dashboard.periods import NAMES


@cache
def environment(language: str) -> Environment:
    """Everything that is shown is escaped unless it was made as markup; what is not there is an error."""
    made = Environment(
        loader=PackageLoader("pbxtrack.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    made.install_gettext_translations(languages.translations(language), newstyle=True)  # type: ignore[attr-defined]
    made.globals |= {
        "version": __version__,
        "languages": languages.LANGUAGES,
        "static": static.address,
        "Right": Right,
        "PERIODS": NAMES,
        "charts": charts,
    }
    return made
