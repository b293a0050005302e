"""Built-in channels, as they are shown."""

import pytest

from pbxtrack.dashboard.channels import BUILT_IN, channel_name, channel_typed
from pbxtrack.dashboard.languages import translations
from pbxtrack.sources.touch import Touch, channel_of

EN, RU = translations("en"), translations("ru")
MEDIA = ("organic", "social", "messenger", "email", "ai", "referral", "(none)", "cpc", "unheard-of")


@pytest.mark.parametrize("medium", MEDIA)
@pytest.mark.parametrize("source", ["", "yandex"])
def test_every_built_in_one_has_a_name_in_russian(medium: str, source: str) -> None:
    name = channel_of(Touch(source=source, medium=medium))
    assert channel_name(name, EN) == name
    assert channel_name(name, RU) != name
    assert channel_typed(channel_name(name, RU), RU) == name
    assert channel_typed(name, RU) == name


def test_a_site_s_own_is_called_as_people_named_it() -> None:
    for name in ("Billboard M4", "paid: x", "100% Direct", "Реклама:", ""):
        assert channel_name(name, RU) == channel_typed(name, RU) == name
    assert channel_name("Paid: 50%s", RU) == "Реклама: 50%s"
    assert {channel_name(name, EN) for name in BUILT_IN} == BUILT_IN
