# SPDX-License-Identifier: Apache-2.0
"""axe-core finds no fault in the page, however it is shown."""

from __future__ import annotations

import itertools

from tests.page import axe, base, browser, fleet

RULES = ('wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice')
"""WCAG 2.2 at level AA, and what axe-core calls best practice."""

HOSTS = 60


class AccessibilityTest(base.PageTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        try:
            cls.axe = axe.source()
        except axe.Unavailable as why:
            raise cls.skipException(str(why)) from None

    def violations(self) -> list[str]:
        self.page.evaluate(f'{self.axe}; 0')
        found: list[str] = self.page.evaluate(
            f'axe.run({{runOnly: {list(RULES)!r}}}).then((result) => '
            'result.violations.flatMap((rule) => rule.nodes.map((node) => '
            '`${rule.id}: ${node.html} ${node.failureSummary}`)))'
        )
        return found

    def test_no_violation_in_any_colours_and_width(self) -> None:
        for scheme, size in itertools.product(
            ('light', 'dark'), (browser.WIDE, browser.NARROW)
        ):
            self.page.show_at(*size)
            self.page.prefer(scheme)
            self.show(fleet.content(HOSTS), 'has=iommu')
            self.page.evaluate("document.getElementById('capacity').open = 1")
            self.page.click('#body button.row')
            self.assertEqual([], self.violations(), (scheme, size))

    def test_no_violation_when_unfolded_or_empty(self) -> None:
        for fragment in ('fold=0&all=1&sort=kvm', 'text=nothing', 'has=tcg'):
            self.show(fleet.content(HOSTS), fragment)
            self.assertEqual([], self.violations(), fragment)

    def test_fault_is_found_where_there_is_one(self) -> None:
        self.show(fleet.content(3))
        self.page.evaluate(
            "document.getElementById('search').closest('label')"
            ".replaceWith(document.getElementById('search')); "
            "document.getElementById('search').placeholder = ''"
        )
        self.assertIn('label: ', ' '.join(self.violations()))

    def test_page_is_no_wider_than_the_screen(self) -> None:
        for size in (browser.WIDE, browser.NARROW):
            self.page.show_at(*size)
            self.show(fleet.content(HOSTS))
            self.page.click('#body button.row')
            width = self.page.evaluate('document.body.scrollWidth')
            self.assertLessEqual(width, size[0])

    def test_states_differ_without_colours(self) -> None:
        self.show(fleet.content(HOSTS))
        signs = self.page.evaluate(
            "[...document.querySelectorAll('#legend .mark')].map((mark) => "
            "['::before', '::after'].map((part) => "
            "getComputedStyle(mark, part).content).join(' '))"
        )
        self.assertEqual(7, len(signs))
        self.assertEqual(len(signs), len(set(signs)))
