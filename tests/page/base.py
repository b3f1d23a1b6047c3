# SPDX-License-Identifier: Apache-2.0
"""A test case with a browser, which its tests share."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Mapping
from typing import Any

import fixtures
import testtools

from hvfilter.osc.report_page import page
from tests.page import browser, devtools

NO_BROWSER = (
    'there is no Chromium on this machine: install the package chromium, or '
    'name a browser in HVFILTER_BROWSER'
)


class PageTestCase(testtools.TestCase):
    """Every test has the tab to itself."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        program = devtools.program()
        if program is None:
            raise cls.skipException(NO_BROWSER)
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.connection = stack.enter_context(devtools.started(program))

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.page = browser.Page(self.connection)
        self.addCleanup(self.page.close)

    def show(self, content: Mapping[str, Any], fragment: str = '') -> None:
        """Open the page of this content, as its file."""
        self.file = self.folder / 'fleet.html'
        self.file.write_text(page.render(content))
        self.page.open(self.file, fragment)

    def names(self) -> list[str]:
        """Of all hosts that are selected, in their order, one row each."""
        self.page.evaluate(
            "document.querySelector('#more button:last-child')?.click()"
        )
        return self.page.texts('#body .names')

    def status(self) -> str:
        """How many hosts are selected."""
        return self.page.text('#status')
