"""Chromium, and tabs in it that tell everything that goes wrong in them.

In a pytest of its own: Playwright keeps an event loop running in this thread, which async tests and the ORM refuse.
"""

import re

import pytest
from browser.tab import Tab

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser):
    """``open_tab(server, "rooms/lobby/")``: a tab of somebody new, or of ``person`` of an earlier one.

    At the end nothing may stand in any console but what a test has said it expects, as a regular expression in
    ``open_tab.expected``.
    """
    tabs, contexts = [], []

    def start(server, path, person=None, **options):
        if person is None:
            contexts.append(browser.new_context(base_url=server.url, locale="en-GB"))
        tab = Tab(person.context if person else contexts[-1])
        tabs.append(tab)
        tab.goto(path, **options)
        return tab

    start.expected = []
    yield start
    complaints = [line for tab in tabs for line in tab.complaints]
    for context in contexts:
        context.close()
    assert not [line for line in complaints if not any(re.search(pattern, line) for pattern in start.expected)]
