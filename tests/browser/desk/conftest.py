"""A running service, and tabs of somebody who is logged in to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.desk.reader import Reader, reader
from tests.browser.desk.service import service

Open = Callable[..., AbstractContextManager[Reader]]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the service is."""
    with service(tmp_path_factory.mktemp("desk")) as found:
        yield found


@pytest.fixture(scope="module")
def kept(chromium: Browser, address: str) -> Any:
    """What a browser keeps of a log-in."""
    with contextlib.closing(chromium.new_context(locale="en-GB")) as context:
        first = reader(context, address)
        first.go("/login")
        first.log_in()
        return context.storage_state()


@pytest.fixture(scope="module")
def open_desk(chromium: Browser, address: str, kept: Any) -> Open:
    """Opens a tab, of somebody logged in unless ``known`` is False. Its console must be clean."""

    @contextlib.contextmanager
    def opened(*, known: bool = True, **options: Any) -> Iterator[Reader]:
        options = {"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **options}
        context = chromium.new_context(storage_state=kept if known else None, **options)
        with contextlib.closing(context):
            tab = reader(context, address)
            yield tab
            assert tab.complaints == []

    return opened
