from dataclasses import replace
from datetime import timedelta

from pbxtrack.sitefile.diff import diff
from pbxtrack.sitefile.model import Channel, Pool, Site

NUMBERS = tuple(f"+749512301{last:02}" for last in range(10))
POOL = Pool("moscow", NUMBERS, ("495",))
BOARD = Channel("Billboard", {}, ("+74951230001",), ("m4@shop.example",))
ADS = Channel("Ads", {"source": "yandex", "medium": "cpc"})
SITE = Site("demo", "Demo", "PJSIP/a", pools=(POOL,), channels=(ADS, BOARD), overflow_number="+74950000000")


def lines(before: list[Site], after: list[Site], with_site: bool = False) -> list[str]:
    return [change.render(with_site=with_site) for change in diff(before, after)]


def test_nothing() -> None:
    assert lines([SITE], [SITE]) == []


def test_a_new_site() -> None:
    assert lines([], [SITE]) == [
        "+ site demo: Demo, line PJSIP/a",
        "+ pool moscow: 10 numbers, regions 495",
        "+ channel Ads: source=yandex medium=cpc",
        "+ channel Billboard: 1 number; m4@shop.example",
    ]


def test_a_site_that_goes_is_one_line() -> None:
    assert lines([SITE], []) == ["- site demo: 12 numbers"]


def test_what_changes_in_a_site() -> None:
    changed = replace(
        SITE,
        line="PJSIP/b",
        record=True,
        hold=timedelta(hours=1),
        origins=("https://a.example",),
        overflow_number=None,
        pools=(replace(POOL, regions=()),),
        channels=(replace(ADS, match={"source": "x"}), replace(BOARD, line="PJSIP/c")),
    )
    assert lines([SITE], [changed]) == [
        "~ site demo: origins none → https://a.example",
        "~ site demo: line PJSIP/a → PJSIP/b",
        "~ site demo: record off → on",
        "~ site demo: hold 30m → 1h",
        "~ site demo: overflow_number +74950000000 → none",
        "~ pool moscow: regions 495 → none",
        "~ channel Ads: match source=yandex medium=cpc → source=x",
        "~ channel Billboard: line none → PJSIP/c",
    ]


def test_numbers_that_come_go_and_move() -> None:
    pool = replace(POOL, numbers=(*NUMBERS[:2], *NUMBERS[5:9], "+74951230150", "+74951230151"))
    changed = replace(
        SITE, pools=(pool,), channels=(ADS, replace(BOARD, numbers=(NUMBERS[9],), emails=("x@y.example",)))
    )
    assert lines([SITE], [changed]) == [
        "+ address x@y.example: channel Billboard",
        "- address m4@shop.example: channel Billboard",
        "+ number +74951230150..+74951230151: pool moscow (2)",
        "~ number +74951230109: pool moscow → channel Billboard",
        "- number +74951230102..+74951230104: pool moscow (3)",
        "- number +74951230001: channel Billboard",
    ]


def test_addresses_that_come_go_and_move() -> None:
    first, second, third = (f"info{index}@shop.example" for index in (1, 2, 3))
    before = replace(SITE, pools=(replace(POOL, emails=(first, second)),))
    after = replace(
        SITE, pools=(replace(POOL, emails=(first, third)),), channels=(ADS, replace(BOARD, emails=(second,)))
    )
    assert lines([before], [after]) == [
        "+ address info3@shop.example: pool moscow",
        "~ address info2@shop.example: pool moscow → channel Billboard",
        "- address m4@shop.example: channel Billboard",
    ]
    assert "+ pool moscow: 10 numbers, info1@shop.example, info2@shop.example, regions 495" in lines([], [before])


def test_scattered_numbers_do_not_flood_the_screen() -> None:
    many = tuple(f"+7495123{last:04}" for last in range(0, 2_000, 2))
    assert lines([SITE], [replace(SITE, pools=(replace(POOL, numbers=many),))]) == [
        "+ number +74951230000 … +74951231998: pool moscow (995, scattered)",
        *[f"- number +749512301{last:02}: pool moscow" for last in range(1, 10, 2)],
    ]


def test_a_number_that_moves_to_another_site_is_told_with_both() -> None:
    other = Site("other", "Other", "PJSIP/o", pools=(Pool("p", NUMBERS),))
    assert lines([SITE, replace(other, pools=())], [replace(SITE, pools=()), other], with_site=True) == [
        "- pool demo/moscow: 10 numbers, regions 495",
        "+ pool other/p: 10 numbers",
        "~ number +74951230100..+74951230109: pool moscow of site demo → pool p (10)",
    ]


def test_the_order_of_channels_is_a_change_since_the_first_match_wins() -> None:
    assert lines([SITE], [replace(SITE, channels=(BOARD, ADS))]) == [
        "~ site demo: channels in a new order: Billboard, Ads"
    ]
    other = replace(SITE, key="b", pools=(), channels=(), overflow_number=None)
    assert lines([SITE, other], [other, SITE]) == ["~ site b, demo: new order"]
