"""Which user agents are robots."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from crawlerdetect import CrawlerDetect
from crawlerdetect.providers import crawlers
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.sources.bots import MAX_AGENT, is_bot

_FIXTURE = Path(__file__).parents[1] / "fixtures/agents.toml"
AGENTS = {kind: text.splitlines() for kind, text in tomllib.loads(_FIXTURE.read_text("utf-8")).items()}


@pytest.mark.parametrize("agent", AGENTS["robots"])
def test_robots_are_robots_wherever_they_ask(agent: str) -> None:
    assert is_bot(agent, from_page=True)
    assert is_bot(agent, from_page=False)


@pytest.mark.parametrize("agent", AGENTS["programs"])
def test_programs_that_call_the_api_are_no_robots(agent: str) -> None:
    assert not is_bot(agent, from_page=False)
    assert is_bot(f"{agent} (compatible; ExampleBot/1.0)", from_page=False)


@pytest.mark.parametrize("agent", AGENTS["browsers"])
def test_browsers_are_no_robots(agent: str) -> None:
    assert not is_bot(agent, from_page=True)


@pytest.mark.parametrize("agent", ["", " ", "\t \n"])
def test_without_an_agent_only_a_pages_script_is_a_robot(agent: str) -> None:
    assert is_bot(agent, from_page=True)
    assert not is_bot(agent, from_page=False)


def test_so_much_of_an_agent_is_looked_at() -> None:
    assert is_bot("x" * (MAX_AGENT - 3) + "bot", from_page=True)
    assert not is_bot("x" * (MAX_AGENT - 2) + "bot", from_page=True)


def test_robots_and_browsers_are_told_apart_as_the_package_does() -> None:
    package = CrawlerDetect()
    for agent in AGENTS["robots"] + AGENTS["browsers"]:
        if "HeadlessChrome" not in agent:  # of which we think otherwise
            assert is_bot(agent, from_page=True) is package.is_crawler(agent)


# Search begins at each character anew: a repetition in front makes the time grow with the square of the length.
def test_no_pattern_begins_with_a_repetition_but_the_one_that_is_cut() -> None:
    begins = [pattern for pattern in crawlers.data if re.match(r"\(*(\[[^]]*\]|\\?.)[*+{]", pattern)]
    assert [pattern.startswith(r"[a-z0-9\-_]*(") for pattern in begins] == [True]


PIECES = ("Mozilla/5.0 ", "Chrome/1", "bot", "Yandex", "Search", "java", "curl", "/", " ", "ſ", "İ", "\x00", "\ud800")


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=40).map("".join), st.booleans())
def test_any_text_is_told(agent: str, from_page: bool) -> None:
    assert is_bot(agent, from_page) in (True, False)
