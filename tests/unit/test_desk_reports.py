"""The tables and pictures of the desk's reports."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from pbxtrack.calls.curves import State
from pbxtrack.calls.models import Model
from pbxtrack.dashboard.diagrams import Curve, Spot, curves, reliability
from pbxtrack.dashboard.languages import Format
from pbxtrack.dashboard.reports.accuracy import verdict
from pbxtrack.dashboard.reports.columns import CALLS, MISSED, OF_CALLS, OF_MONEY, SHARE, summed, there, with_means
from pbxtrack.dashboard.reports.curves import STATES, called_by
from pbxtrack.dashboard.reports.deals import written_amount
from pbxtrack.dashboard.reports.hours import Hour, busiest, shade, week, worst
from pbxtrack.dashboard.reports.kinds import GROUPED, MODELS, TITLES
from pbxtrack.dashboard.reports.table import MOST, Compared, cells, chosen, compared, lines, wanted
from pbxtrack.reports.figures import Sums, figures
from pbxtrack.reports.questions import QUESTIONS

EN = Format("en", "UTC", "RU")


def test_an_amount_is_rounded_where_it_sums_up_and_exact_where_it_is_one_thing() -> None:
    assert [EN.money(amount, "EUR") for amount in (99.5, 1234.56, 1500.0)] == ["€99.50", "€1,235", "€1,500"]
    assert [EN.money(amount, "EUR", exact=True) for amount in (99.5, 1234.56, 1500.0)] == [
        "€99.50", "€1,234.56", "€1,500",
    ]  # fmt: skip
    assert EN.money(None, "EUR", exact=True) == "–"


def test_seconds_are_rounded_as_the_player_does() -> None:
    assert [EN.duration(seconds) for seconds in (6.49, 6.5, 7.5, 3_599.5)] == ["0:06", "0:07", "0:08", "1:00:00"]


def test_a_unit_stands_on_the_line_of_its_number() -> None:
    assert [EN.spell(seconds) for seconds in (4.2, 40, 180, 7_200, 864_000)] == [
        "4.2\xa0s", "40\xa0s", "3\xa0min", "2\xa0h", "10\xa0days",
    ]  # fmt: skip
    russian = Format("ru", "UTC", "RU")
    assert (russian.spell(10_800), russian.points(0.5, 0.25)) == ("3\xa0ч", "+25\xa0п.\xa0п.")


def row(channel: str | None, calls: int = 1, **values: Any) -> dict[str, Any]:
    return {"channel": channel, **figures(Sums(calls=calls, unique=calls), 1, 10), **values}


def names(rows: list[Compared]) -> list[str | None]:
    return [one.row["channel"] for one in rows]


def test_every_question_and_model_has_words() -> None:
    assert {report.question for report in GROUPED} == set(QUESTIONS)
    assert all(len(report.heads) == len(report.question.dimensions) for report in GROUPED)
    assert {report.question.name for report in GROUPED} <= TITLES.keys()
    assert MODELS.keys() == set(Model)
    assert STATES.keys() == {state.name.lower() for state in State}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("", ["VK", "Avito", None, "SEO"]),
        ("calls", ["SEO", None, "Avito", "VK"]),
        ("channel", ["Avito", "SEO", "VK", None]),
        ("-channel", ["VK", "SEO", "Avito", None]),
        ("-answer_seconds", ["Avito", "VK", None, "SEO"]),
        ("answer_seconds", ["Avito", "VK", None, "SEO"]),
        ("-password", ["VK", "Avito", None, "SEO"]),
    ],
)
def test_rows_stand_by_any_column_and_what_is_not_told_last(order: str, expected: list[str | None]) -> None:
    rows = [row("VK", 9), row("Avito", 5, answer_seconds=4.0), row(None, 3), row("SEO", 1)]
    asked = wanted({"sort": order}, ["channel", *(column.name for column in OF_CALLS)])
    assert names(chosen(compared(rows, None, ["channel"]), asked, ["channel"])) == expected


def test_a_column_is_turned_around_by_its_head() -> None:
    asked = wanted({}, ["channel", "calls"])
    assert (asked.order, asked.other_way("calls", text=False)) == ("-calls", "calls")
    assert (asked.other_way("target", text=False), asked.other_way("channel", text=True)) == ("-target", "channel")


def test_rows_are_found_by_words_in_any_case_and_order() -> None:
    rows = compared([row("Яндекс Директ"), row("Avito"), row(None)], None, ["channel"])
    asked = wanted({"q": "  директ ЯНД " + "x" * 0}, ["channel"])
    assert names(chosen(rows, asked, ["channel"])) == ["Яндекс Директ"]
    assert not chosen(rows, wanted({"q": "x" * 10_000}, ["channel"]), ["channel"])


def test_two_times_are_joined_row_by_row() -> None:
    both = compared([row("A", 6), row("B", 2)], [row("A", 3), row("C", 4)], ["channel"])
    assert [(one.row["channel"], one.row["calls"], one.before and one.before["calls"]) for one in both] == [
        ("A", 6, 3),
        ("B", 2, 0),
        ("C", 0, 4),
    ]
    shown = {one.row["channel"]: cells(EN, [CALLS, MISSED, SHARE], one, "RUB")[0] for one in both}
    assert (shown["A"].change, shown["A"].judged, shown["A"].before) == ("+100%", "good", "3")
    assert shown["B"].change == "", "of nothing nothing can be told"
    assert (shown["C"].change, shown["C"].judged) == ("−100%", "bad")


def test_where_not_all_rows_are_looked_at_nothing_is_told_of_those_that_are_missing() -> None:
    many = [row(str(n)) for n in range(MOST)]
    assert compared([row("A")], many, ["channel"])[0].before is None
    assert len(compared(many, [row("A")], ["channel"])) == MOST


def test_more_of_what_is_bad_is_bad_and_shares_change_by_points() -> None:
    one = Compared(row("A", missed=3, share=0.125), row("A", missed=2, share=0.1))
    missed, share = cells(EN, [MISSED, SHARE], one, "")
    assert (missed.judged, share.judged, share.change) == ("bad", "", "+2.5\xa0pp")


def test_a_figure_opens_its_calls_where_there_are_any() -> None:
    shown = cells(EN, [CALLS, MISSED, SHARE], Compared(row("A", missed=2), None), "", "/calls?channel=A")
    assert [cell.href for cell in shown] == [
        "/calls?channel=A",
        "/calls?channel=A&status=missed&status=abandoned&status=busy&status=failed",
        None,
    ]
    none = cells(EN, [CALLS, MISSED], Compared(row("A", missed=0), None), "", "/calls")
    assert [cell.href for cell in none] == ["/calls", None]


def test_rows_together_are_as_one() -> None:
    a = row("A", 4, answered=3, target=1, talk_seconds=90.0, answer_seconds=10.0, cost=100.0, won=1, revenue=400.0)
    b = row("B", 6, answered=1, target=1, talk_seconds=10.0, answer_seconds=2.0, cost=None, won=None, revenue=None)
    total = summed([a, b])
    assert (total["calls"], total["unique"], total["talk_seconds"], total["talk_each"]) == (10, 10, 100, 25)
    assert total["answer_seconds"] == pytest.approx(8)
    assert (total["cost"], total["cost_per_target"], total["conversion"], total["roi"]) == (100, 50, 0.1, 3)
    assert total["deals"] is None


def test_columns_of_money_are_there_where_there_is_some() -> None:
    assert [column.name for column in there(OF_MONEY, [with_means(row("A"))])] == ["calls", "unique", "target"]
    found = there(OF_MONEY, [row("A", cost=None, revenue=0.0), row("B", cost=1.5)])
    assert [column.name for column in found] == ["calls", "unique", "target", "cost", "revenue"]


def test_the_file_has_both_times_side_by_side() -> None:
    both = compared([row("=1+1", 6)], [row("=1+1", 3)], ["channel"])
    assert lines([CALLS], both, ["channel"], with_before=True) == [["=1+1", 6, 3]]
    assert lines([CALLS], both, ["channel"], with_before=False) == [["=1+1", 6]]


def test_a_week_has_every_hour() -> None:
    rows = [{"weekday": 2, "hour": 9, "calls": 10, "missed": 2}, {"weekday": 7, "hour": 23, "calls": 4, "missed": 4}]
    days = week(rows)
    every = [hour for day in days for hour in day]
    assert [len(day) for day in days] == [24] * 7
    assert (every[33], every[-1]) == (Hour(2, 9, 10, 2), Hour(7, 23, 4, 4))
    assert (every[33].lost, every[-1].lost, every[0].lost) == (0.2, None, None), "of four calls no share is told"
    assert busiest(every) == every[33]
    assert worst(every) == every[-1]
    assert busiest([every[0]]) is worst([every[0]]) is None


def test_only_nothing_has_no_shade() -> None:
    assert [shade(value, 100) for value in (None, 0, 0.1, 50, 100, 200)] == [0, 0, 1, 4, 9, 9]
    assert shade(0, 0) == 0


def accuracy(calls: int, said: float, right: float, known: int | None = None) -> dict[str, Any]:
    bands: list[dict[str, Any]] = [{"calls": 0, "said": None, "right": None} for _ in range(10)]
    bands[min(int(said * 10), 9)] = {"calls": calls, "said": said, "right": right}
    counted = {"corrected": 0, "tap": calls if known is None else known, "caller": 0}
    return {"calls": 100, "known": counted, "calibration_error": abs(said - right), "bands": bands}


@pytest.mark.parametrize(
    ("whole", "words"),
    [
        (accuracy(50, 0.95, 0.94), ["as sure as they should be", "no fair sample"]),
        (accuracy(50, 0.95, 0.88), ["surer than", "no fair sample"]),
        (accuracy(50, 0.75, 0.2), ["much surer", "less sure", "no fair sample"]),
        (accuracy(50, 0.75, 0.95), ["more often than they say", "no fair sample"]),
        (accuracy(5, 0.95, 0.94), ["few calls", "as sure", "no fair sample"]),
        (accuracy(0, 0.5, 0.5), ["cannot be said"]),
        ({**accuracy(0, 0.5, 0.5), "calls": 0}, []),
    ],
)
def test_accuracy_is_told_in_words(whole: dict[str, Any], words: list[str]) -> None:
    told = verdict(whole)
    assert len(told) == len(words)
    assert all(word in sentence for word, sentence in zip(words, told, strict=True))


def test_who_called_is_not_there_to_call_again() -> None:
    steps = [{"seen": 2_000.0}, {"seen": 0.0}, {"seen": 100.0}]
    assert called_by(steps, "seen") == pytest.approx([0, 1 - math.exp(-2), 1 - math.exp(-2), 1 - math.exp(-2.1)])


def test_pictures_escape_what_they_tell() -> None:
    spots = reliability([Spot(0.25, 0.5, 4, '"><img onerror=1>'), Spot(1, 1, 16)])
    assert 'cx="25.00" cy="50.00"' in spots
    assert 'cx="100.00" cy="0.00"' in spots
    drawn = curves([Curve("seen", [0, 0.5, 1])], 0.5, ['"><img onerror=1>', ""])
    assert 'points="0,100.00 10,0.00 20,0.00"' in drawn
    assert "<img" not in spots + drawn
    assert "<circle" not in reliability([])


def test_money_is_told_to_what_matters() -> None:
    amounts = (None, 0, 12.5, 99.99, 150, 1_000.5, 1_234_567.89)
    assert [EN.money(amount, "RUB") for amount in amounts] == [
        "–", "RUB\xa00", "RUB\xa012.50", "RUB\xa099.99", "RUB\xa0150", "RUB\xa01,000", "RUB\xa01,234,568",
    ]  # fmt: skip
    assert Format("ru", "UTC", "RU").money(-2_500.4, "RUB") == "−2\xa0500\xa0₽"
    assert EN.money(12.5, "EUR") == "€12.50"
    assert EN.percent(-0.5) == "−50%"


def test_a_time_of_another_year_has_its_year() -> None:
    now = datetime(2025, 12, 31, 22, tzinfo=UTC)  # in Moscow it is next year already
    assert Format("en", "UTC", "RU", now).when("2025-11-24T06:00:00Z") == "24 Nov, 06:00"
    russian = Format("ru", "Europe/Moscow", "RU", now)
    assert russian.when("2025-11-24T06:00:00Z") == "24 нояб. 2025, 09:00"
    assert russian.when("2025-12-31T21:30:00Z") == "1 янв., 00:30"
    assert EN.when("2025-11-24T06:00:00Z") == "24 Nov 2025, 06:00"


def test_an_amount_is_written_as_it_is_typed() -> None:
    assert [written_amount(amount) for amount in (61600.0, 0.0, 12.5, -3.25)] == ["61600", "0", "12.50", "-3.25"]
