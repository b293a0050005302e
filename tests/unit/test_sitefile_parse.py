from datetime import timedelta

import pytest

from pbxtrack.errors import ConfigError
from pbxtrack.sitefile import values
from pbxtrack.sitefile.model import Channel, Pool, Site
from pbxtrack.sitefile.parse import parse

SITE = '[[site]]\nkey = "demo"\nname = "Demo"\nline = "PJSIP/sales"\n'  # four lines
POOL = '[[site.pool]]\nname = "moscow"\n'
CHANNEL = '[[site.channel]]\nname = "Ads"\n'


def read(text: str) -> list[Site]:
    return parse(text.encode(), "shop.toml", "RU")


def message(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        read(text)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_whole_file() -> None:
    found = read("""
[[site]]
key = "demo"
name = "Demo shop"
origins = ["https://Shop.example:443", "https://магазин.рф", "http://localhost:8000"]
line = "PJSIP/sales&Local/7@queue/n"
replace = ["8 (495) 123-45-67"]
record = true
whisper = true
timezone = "Europe/Moscow"
hold = "1h"
hold_guaranteed = "90s"
target_talk = "30s"
unique_days = 90
overflow_number = "+7 495 000-00-00"
email = "sales@Shop.example"
email_separator = "."
  [[site.pool]]
  name = "moscow"
  numbers = ["+74951230103", "8 495 123-01-00 .. 8 495 123-01-02"]
  regions = ["495", "499"]
  [[site.channel]]
  name = "Yandex Direct"
  match = { source = "yandex", medium = "cp?" }
  [[site.channel]]
  name = "Billboard"
  numbers = ["4951230001"]
  emails = ["M4@shop.example"]
  line = "PJSIP/support"
""")
    assert found == [
        Site(
            key="demo",
            name="Demo shop",
            line="PJSIP/sales&Local/7@queue/n",
            origins=("https://shop.example", "https://xn--80aairftm.xn--p1ai", "http://localhost:8000"),
            replace=("+74951234567",),
            record=True,
            whisper=True,
            timezone="Europe/Moscow",
            hold=timedelta(hours=1),
            hold_guaranteed=timedelta(seconds=90),
            target_talk=timedelta(seconds=30),
            unique_days=90,
            overflow_number="+74950000000",
            email="sales@shop.example",
            email_separator=".",
            pools=(Pool("moscow", tuple(f"+7495123010{last}" for last in range(4)), ("495", "499")),),
            channels=(
                Channel("Yandex Direct", {"source": "yandex", "medium": "cp?"}),
                Channel("Billboard", {}, ("+74951230001",), ("m4@shop.example",), "PJSIP/support"),
            ),
        )
    ]


def test_the_defaults() -> None:
    assert read(SITE) == [Site("demo", "Demo", "PJSIP/sales")]
    assert read(SITE + 'hold = "2m"')[0].hold_guaranteed == timedelta(minutes=2)
    assert read("") == []


def test_a_number_may_be_on_the_page_and_tracked_but_not_leased() -> None:
    assert read(SITE + 'replace = ["+74950000000"]\noverflow_number = "+74950000000"')
    text = SITE + 'replace = [\n"+74950000001"]\n' + POOL + 'numbers = ["+74950000000..+74950000009"]'
    expected = "shop.toml:6: site.replace: +74950000001 is in a pool; a number that is on the page cannot be"
    assert message(text) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('hodl = "1h"', "hodl: unknown key; did you mean hold?"),
        ("xyzzy = 1", "xyzzy: unknown key"),
        ('record = "yes"', "record: must be true or false"),
        ('unique_days = "30"', "unique_days: must be a whole number, without quotes"),
        ("unique_days = true", "unique_days: must be a whole number, without quotes"),
        ("unique_days = 30.5", "unique_days: must be a whole number, without quotes"),
        ("unique_days = 0", "unique_days: must be 1 to 3650"),
        ("unique_days = 3651", "unique_days: must be 1 to 3650"),
        ("timezone = 3", "timezone: must be a text in quotes"),
        ('timezone = "Europe/Moskow"', "timezone: 'Europe/Moskow' is not a time zone; write one such as Europe/Moscow"),
        ('timezone = "../../etc/passwd"', "timezone: '../../etc/passwd' is not a time zone"),
        ('timezone = "Europe"', "timezone: 'Europe' is not a time zone"),
        ('timezone = ""', "timezone: '' is not a time zone"),
        ('hold = "30"', "hold: '30' is not a duration; write 90s, 30m, 1h30m or 2d"),
        ('hold = "1 h"', "hold: '1 h' is not a duration"),
        ("hold = 30", "hold: must be a text in quotes"),
        ('hold = "59s"', "hold: must be 1m to 30d"),
        ('hold = "31d"', "hold: must be 1m to 30d"),
        ('hold = "99999999999999d"', "hold: '99999999999999d' is not a duration"),
        ('hold_guaranteed = "31m"', "hold_guaranteed: 31m is longer than hold, which is 30m"),
        ('hold_guaranteed = "0s"', "hold_guaranteed: must be 1s to 30d"),
        ('origins = "https://a.example"', "origins: must be a list of texts in quotes"),
        ("origins = [1]", "origins: must be a text in quotes"),
        ('origins = ["https://a.example/"]', "origins: 'https://a.example/' is not an origin"),
        ('origins = ["https://a.example/x"]', "origins: 'https://a.example/x' is not an origin"),
        (
            'origins = ["a.example"]',
            "origins: 'a.example' is not an origin; write https://shop.example, without a path",
        ),
        ('origins = ["https://u@a.example"]', "origins: 'https://u@a.example' is not an origin"),
        ('origins = ["https://*.example"]', "origins: 'https://*.example' is not an origin"),
        ('origins = ["https://a.example:99999"]', "origins: 'https://a.example:99999' is not an origin"),
        ('origins = ["https://a", "https://a:443"]', "origins: https://a is there twice"),
        ('replace = ["x"]', "replace: 'x' is not a telephone number"),
        ('replace = ["8 495 1234567", "+74951234567"]', "replace: +74951234567 is there twice"),
        ('overflow_number = "12"', "overflow_number: '12' is not a telephone number"),
        ('overflow_number = ""', "overflow_number: '' is not a telephone number"),
        ('email = "sales"', "email: 'sales' is not an e-mail address"),
        ('email = "a b@shop.example"', "email: 'a b@shop.example' is not an e-mail address"),
        ('email = "<sales@shop.example>"', "email: '<sales@shop.example>' is not an e-mail address"),
        ('email_separator = "-"', 'email_separator: must be "+" or "."'),
        ("pool = 1", "pool: must be written [[site.pool]], once for each"),
        ("pool = [1]", "pool: must be written [[site.pool]]"),
    ],
)
def test_a_wrong_line_of_a_site(line: str, expected: str) -> None:
    assert message(SITE + "\n" + line).startswith(f"shop.toml:6: site.{expected}")


@pytest.mark.parametrize(
    "line",
    [
        "", "sales", "PJSIP/", "/sales", "PJSIP/a,30", "PJSIP/a|b", "PJSIP/${X}", "PJSIP/$[1]", "PJSIP/a;b",
        "PJSIP/a b", "PJSIP/a)", "PJSIP/a&", "&PJSIP/a", "PJSIP/a&b", "PJSIP/a'b", 'PJSIP/a\\"b', "PJSIP/a\\nb",
        "PJSIP/a\\u0000",
        "PJSIP/а", "PJSIP/a\\\\", "PJSIP/a`b", "PJSIP/{a}", "PJSIP/<a>",
    ],
)  # fmt: skip
def test_a_line_that_would_mean_something_else_to_a_dialplan_is_refused(line: str) -> None:
    found = message(f'[[site]]\nkey = "a"\nname = "A"\nline = "{line}"')
    assert found.startswith("shop.toml:4: site.line: ")
    assert found.endswith("is not a line as Dial() takes it, such as PJSIP/sales")


@pytest.mark.parametrize(
    "line",
    ["PJSIP/sales", "PJSIP/trunk/sip:+74951234567@10.0.0.1:5060", "Local/7@ctx/n&PJSIP/a", "DAHDI/g0/5551234",
     "SIP/a_b-c", "PJSIP/*97@t?x=1"],
)  # fmt: skip
def test_lines_that_dial_takes(line: str) -> None:
    assert read(SITE.replace("PJSIP/sales", line))[0].line == line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sites]", "shop.toml:1: sites: unknown key; did you mean site?"),
        ('[site]\nkey = "x"', "shop.toml:1: site: must be written [[site]], once for each"),
        ("site = [1]", "shop.toml:1: site: must be written [[site]]"),
        ('\n[[site]]\nname = "x"', "shop.toml:2: site: the key key is missing"),
        ('[[site]]\nkey = "x"\nname = "X"', "shop.toml:1: site: the key line is missing"),
        ('[[site]]\nkey = "X y"', "shop.toml:2: site.key: 'X y' must be made of a-z, 0-9, - and _"),
        (f'[[site]]\nkey = "{"x" * 65}"', "shop.toml:2: site.key: is longer than 64 characters"),
        ('[[site]]\nkey = "x"\nname = " "', "shop.toml:3: site.name: must not be empty"),
        ('[[site]]\nkey = "x"\nname = "a\\nb"', "shop.toml:3: site.name: must be one line without control characters"),
        (SITE + SITE, "shop.toml:6: site.key: demo is in line 2 already"),
        (SITE + POOL, "shop.toml:5: site.pool: the key numbers is missing"),
        (SITE + POOL + "numbers = 1", "shop.toml:7: site.pool.numbers: must be a list of texts in quotes"),
        (SITE + POOL + "numbers = [\n74951230100]", "shop.toml:8: site.pool.numbers: must be a text in quotes"),
        (SITE + POOL + 'numbers = [\n"abc"]', "shop.toml:8: site.pool.numbers: 'abc' is not a telephone number"),
        (
            SITE + POOL + 'numbers = ["+74951230100..+74951230099"]',
            "shop.toml:7: site.pool.numbers: '+74951230100..+74951230099' is not a range: "
            "its last number must come after its first",
        ),
        (
            SITE + POOL + 'numbers = ["+74951230100..+74952230099"]',
            "shop.toml:7: site.pool.numbers: '+74951230100..+74952230099' is a range of 1,000,000 numbers; "
            "100,000 are the most",
        ),
        (SITE + POOL + 'numbers = ["..+74952230099"]', "shop.toml:7: site.pool.numbers: '' is not a telephone number"),
        (
            SITE + POOL + 'numbers = []\nregions = ["12345678901234567"]',
            "shop.toml:8: site.pool.regions: is longer than 16 characters",
        ),
        (
            SITE + POOL + "numbers = []\n" + POOL,
            "shop.toml:9: site.pool.name: 'moscow' is the name of another one of this site",
        ),
        (
            SITE + POOL + 'numbers = ["+74951230100..+74951230109",\n"8 495 123-01-05"]',
            "shop.toml:8: site.pool.numbers: +74951230105 is in line 7 already",
        ),
        (
            SITE
            + POOL
            + 'numbers = ["+74951230100"]\n'
            + SITE.replace("demo", "b")
            + 'overflow_number = "84951230100"',
            "shop.toml:12: site.overflow_number: +74951230100 is in line 7 already",
        ),
        (
            SITE + CHANNEL + 'numbers = ["+74951230100"]\n' + POOL + 'numbers = ["+74951230100"]',
            "shop.toml:7: site.channel.numbers: +74951230100 is in line 10 already",
        ),
        (
            SITE + CHANNEL,
            "shop.toml:5: site.channel: needs match, numbers or emails: nothing could ever be this channel's",
        ),
        (SITE + CHANNEL + "match = {}", "shop.toml:5: site.channel: needs match, numbers or emails"),
        (SITE + CHANNEL + "match = 1", 'shop.toml:7: site.channel.match: must be written { key = "value" }'),
        (SITE + CHANNEL + "match = { source = 1 }", "shop.toml:7: site.channel.match.source: must be a text in quotes"),
        (
            SITE + CHANNEL + 'match = { medium = "cpc", sourse = "x" }',
            "shop.toml:7: site.channel.match.sourse: unknown key; did you mean source?",
        ),
        (SITE + CHANNEL + 'emails = ["x"]', "shop.toml:7: site.channel.emails: 'x' is not an e-mail address"),
        (
            SITE + CHANNEL + 'emails = ["a@b.example",\n"A@b.example"]',
            "shop.toml:8: site.channel.emails: a@b.example is in line 7 already",
        ),
        (
            SITE + 'email = "A@b.example"\n' + CHANNEL + 'emails = ["a@b.example"]',
            "shop.toml:5: site.email: A@b.example is in line 8 already",
        ),
        (
            SITE + POOL + 'emails = ["a@b.example"]',
            "shop.toml:7: site.pool.emails: need a mailbox that their mail goes to: the key email",
        ),
        (
            SITE
            + 'email = "s@b.example"\n'
            + CHANNEL
            + 'emails = ["a@b.example"]\n'
            + POOL
            + 'emails = ["A@b.example"]',
            "shop.toml:8: site.channel.emails: a@b.example is in line 11 already",
        ),
        (
            SITE + 'email = "A@b.example"\n' + POOL + 'numbers = []\nemails = ["a@b.example"]',
            "shop.toml:5: site.email: A@b.example is in line 9 already",
        ),
        (SITE + CHANNEL + 'emails = ["a@b.example"]\nline = "x"', "shop.toml:8: site.channel.line: 'x' is not a line"),
        (
            SITE + 'email_separator = "."\nemail = "a.b@c.example"',
            "shop.toml:5: site.email_separator: cannot be a dot: there is one in a.b@c.example already",
        ),
        (SITE + "line", "shop.toml:5: is not valid TOML: "),
    ],
)
def test_a_wrong_file(text: str, expected: str) -> None:
    assert message(text).startswith(expected)


def test_there_is_an_end_to_how_many_numbers_a_file_names() -> None:
    ranges = [f'"+7495{first}000000..+7495{first}099999"' for first in range(10)]
    ranges.append('"+74961000000..+74961099999"')
    text = SITE + POOL + "numbers = [\n" + ",\n".join(ranges) + "]"
    assert message(text) == "shop.toml:18: site.pool.numbers: makes it more than 1,000,000 numbers"


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("2.5m", 150), ("2m30s", 150), ("1h30m", 5_400), ("0.5d", 43_200), ("0s", 0)]
)
def test_durations_are_read_as_people_write_them(written: str, seconds: int) -> None:
    assert values.duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize("written", ["", "30", "m", "-1m", "1.5s", "2.m", "1m 30s", "1" * 10 + "s", "٣m", "1s" * 5])
def test_what_is_no_duration_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        values.duration(written)
