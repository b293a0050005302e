"""`pbxtrack cost` as its user meets it, and what its document says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pbxtrack.money.cost_file import HEADINGS
from tests.contract.test_recording import NOW, an_answered_call
from tests.unit.test_cli import SITE, Cli, cli, ready  # noqa: F401 (fixtures)

DOCUMENT = (Path(__file__).parents[2] / "docs/costs-and-deals.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```csv\n(.*?)```", DOCUMENT, re.DOTALL)


def a_file(cli: Cli, text: str = EXAMPLE) -> str:  # noqa: F811
    (cli.folder / "costs.csv").write_text(text, encoding="utf-8")
    return "costs.csv"


def test_the_documents_file_is_imported_once_however_often(ready: Cli) -> None:  # noqa: F811
    shown = ready("cost", "import", a_file(ready), "--site", "demo", "--dry-run").out
    assert re.search(r"Yandex Direct +2 +2026-11-01 +2026-11-01 +10,144\.50\n", shown)
    assert "4 costs: 4 added, 0 changed, 0 removed, 0 unchanged (nothing was written)" in shown
    assert "1 line of sums left out" in shown
    assert "there are no costs" in ready("cost", "list").out
    assert "4 costs: 4 added" in ready("cost", "import", "costs.csv", "--site", "demo").out
    again = json.loads(ready("cost", "import", "costs.csv", "--site", "demo", "--json").out)
    assert again == {
        "added": 0, "changed": 0, "removed": 0, "unchanged": 4, "amount": 58601.2, "currency": "RUB",
    }  # fmt: skip
    items = json.loads(ready("cost", "list", "--json").out)
    assert sum(item["amount"] for item in items) == 58601.2
    assert "Billboard M4" in ready("cost", "list", "--since", "2026-11-02", "--channel", "Billboard M4").out


def test_what_is_listed_as_csv_is_imported_again(ready: Cli) -> None:  # noqa: F811
    ready("cost", "import", a_file(ready), "--site", "demo")
    listed = ready("cost", "list", "--csv", "--site", "demo").out
    shown = ready("cost", "import", a_file(ready, listed), "--site", "demo").out
    assert "4 costs: 0 added, 0 changed, 0 removed, 4 unchanged" in shown
    assert "columns left out: id, site, currency" in shown


def test_a_period_is_replaced(ready: Cli) -> None:  # noqa: F811
    ready("cost", "import", a_file(ready), "--site", "demo")
    month = ["--replace", "2026-11-01", "30.11.2026"]
    left = a_file(ready, "day,campaign,cost\n2026-11-02,search-tables,1\n")
    of_channel = ready("cost", "import", left, "--site", "demo", "--channel", "Google Ads", *month, "--dry-run").out
    assert "1 cost: 1 added, 0 changed, 1 removed, 0 unchanged" in of_channel, "with another source it is another"
    empty = a_file(ready, "day,channel,cost\n")
    assert "0 costs: 0 added, 0 changed, 4 removed" in ready("cost", "import", empty, "--site", "demo", *month).out
    assert "there are no costs" in ready("cost", "list").out


def test_what_is_wrong_is_told_and_nothing_written(ready: Cli) -> None:  # noqa: F811
    file = a_file(ready, "date,channel,cost\n2026-11-01,Ads,5\n11/12/2026,Ads,5\n2026-11-03,\x1b[31m,1.234\n")
    done = ready("cost", "import", file, "--site", "demo", status=1)
    assert done.out.splitlines()[0].startswith("line 3: '11/12/2026' may be two days")
    assert done.out.splitlines()[1].startswith("line 4: '1.234' is no amount")
    assert done.err == "pbxtrack: costs.csv: 2 lines cannot be read; nothing was imported\n"
    told = ready("cost", "import", file, "--site", "demo", "--json", status=1)
    assert [wrong["line"] for wrong in json.loads(told.out)["wrong"]] == [3, 4]
    assert "there is no site 'shop'; there is demo" in ready.fails("cost", "import", a_file(ready), "--site", "shop")
    assert "choose one" in ready("cost", "list", "--csv", "--json", status=2).err
    assert "--replace" in ready("cost", "import", file, "--site", "demo", "--replace", "x", "y", status=2).err
    assert "there are no costs" in ready("cost", "list").out


def test_reports_have_columns_of_money_where_there_is_some(ready: Cli) -> None:  # noqa: F811
    ready.record(*an_answered_call("+74951230001"))
    before = ready("report", "channels").out
    assert "Cost" not in before
    day = NOW.date().isoformat()
    file = a_file(ready, f"date,channel,cost\n{day},Bill[red]board,1234.5\n{day},=1+1,1\n")
    ready("cost", "import", file, "--site", "demo")
    shown = ready("report", "channels").out
    assert before.splitlines()[2] in shown
    assert re.search(r"Bill\[red\]board .* 1,234\.50 RUB +1,234\.50 +1,234\.50 ", shown)
    heading, billboard, formula = ready("report", "channels", "--csv").out.splitlines()
    assert heading.endswith(
        ",share,currency,cost,cost_per_contact,cost_per_call,cost_per_target,deals,won,revenue,"
        "cost_per_deal,cost_per_won,conversion,roi"
    )
    assert "RUB,1234.5,1234.5,1234.5," in billboard
    assert formula.startswith("demo,'=1+1,0")
    assert ready("report", "campaigns").out.splitlines()[0].split()[:3] == ["Site", "Channel", "Source"]
    assert "1,235.50 RUB" in ready("report", "totals").out
    assert "Cost" not in ready("report", "trend").out


def test_a_sites_currency_is_that_of_its_costs(ready: Cli) -> None:  # noqa: F811
    shown = ready("apply", ready.site(SITE.replace('name = "Demo"', 'name = "Demo"\ncurrency = "EUR"'))).out
    assert "currency RUB → EUR" in shown
    assert 'currency = "EUR"' in ready("export-config").out
    assert "EUR" in ready("cost", "import", a_file(ready), "--site", "demo").out
    wrong = ready.fails("apply", ready.site(SITE.replace('name = "Demo"', 'name = "Demo"\ncurrency = "EUX"')))
    assert "is not a currency of ISO 4217" in wrong


def test_the_document_names_every_heading() -> None:
    table = [line for line in DOCUMENT.splitlines() if line.startswith("| ")]
    named = [set(re.findall(r"`([^`]+)`", line.split("|")[2])) for line in table]
    for headings in HEADINGS.values():
        assert set(headings) in named
