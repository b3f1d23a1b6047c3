# SPDX-License-Identifier: Apache-2.0
"""What the page shows is what hvfilter knows."""

from __future__ import annotations

import dataclasses

from hvfilter.model.catalogue import BY_KEY
from hvfilter.osc import capability_summary
from hvfilter.osc.report_page import content
from tests.page import base, fleet

HOSTS = 100
"""Enough for one of each kind."""

SIGNS = {
    'has': '✓',
    'lacks': '✕',
    'unknown': '?',
    'stale': '~',
    'unreported': '○',
}

WORDS = {
    'has': 'has',
    'lacks': 'lacks',
    'unknown': 'could not determine',
    'stale': 'report is stale',
    'unreported': 'never reported',
}

_CELLS = """
[...document.querySelectorAll('#body > tr')].map((row) =>
  [...row.querySelectorAll('td.cell')].map((cell) => {
    const sign = (part) =>
      getComputedStyle(cell, part).content.split('"')[1] ?? '';
    return [sign('::before') + sign('::after'), cell.textContent];
  }))
"""


class ContentTest(base.PageTestCase):
    def test_each_cell_is_the_state_of_its_host(self) -> None:
        self.show(fleet.content(HOSTS), 'fold=0&all=1')
        heads = self.page.texts('#head th.capability')
        self.assertEqual(list(BY_KEY), heads)
        hosts = fleet.hosts(HOSTS)
        self.assertEqual([each.name for each in hosts], self.names())
        rows = self.page.evaluate(_CELLS)
        seen = set()
        for host, cells in zip(hosts, rows, strict=True):
            for key, (sign, words) in zip(heads, cells, strict=True):
                state = host.state_of(key).value
                # Of another processor: it lacks that, with a fainter sign.
                plain = sign.replace('·', '✕').removesuffix('!')
                self.assertEqual(SIGNS[state], plain, (host.name, key))
                self.assertTrue(words.startswith(WORDS[state]), words)
                self.assertEqual('!' in sign, 'contradiction' in words)
                seen.add(sign)
        self.assertLessEqual({*SIGNS.values(), '·', '✓!', '✕!'}, seen)

    def test_chart_counts_as_summary_does(self) -> None:
        hosts, free = fleet.hosts(HOSTS), fleet.rooms(HOSTS)
        self.show(fleet.content(HOSTS))
        shown = dict(
            zip(
                self.page.texts('#chart .name'),
                zip(
                    self.page.texts('#chart .figures b'),
                    self.page.texts('#chart .free'),
                    strict=True,
                ),
                strict=True,
            )
        )
        rows = list(capability_summary.rows('', hosts, free, False))
        self.assertEqual([row[1] for row in rows], list(shown))
        for _, key, has, *_, vcpus, _ in rows:
            count, room = shown[key]
            self.assertEqual(f'{has:,}', count, key)
            self.assertTrue(room.startswith(f'{vcpus:,} vCPUs'), room)

    def test_kinds_fold_hosts_that_are_alike(self) -> None:
        self.show(fleet.content(HOSTS))
        counts = self.page.texts('#body td.figure:nth-child(2)')
        self.assertEqual(HOSTS, sum(map(int, counts)))
        kinds = {content.kind(each) for each in fleet.hosts(HOSTS)}
        self.assertEqual(len(kinds), len(counts))
        self.assertIn(f'{len(kinds)} kinds', self.status())

    def test_opened_row_names_hosts_and_reasons(self) -> None:
        self.show(fleet.content(HOSTS), 'unknown=sev')
        hosts = [
            each.name
            for each in fleet.hosts(HOSTS)
            if each.state_of('sev').value == 'unknown'
        ]
        self.page.click('#body button.row')
        self.assertEqual(
            sorted(hosts), sorted(self.page.texts('.hosts tbody th'))
        )
        [first, *_] = self.page.texts('.reasons li')
        self.assertIn('Could not determine sev, sev_es.', first)
        self.assertIn('hvfilter check CAPABILITY', first)

    def test_contradiction_is_explained_in_the_opened_row(self) -> None:
        self.show(fleet.content(HOSTS), 'has=tcg')
        self.page.click('#body button.row')
        reasons = ' '.join(self.page.texts('.reasons li'))
        self.assertIn('firmware or kernel disable it', reasons)
        self.assertIn('Nova shows cpu_info: vmx', reasons)

    def test_nothing_is_loaded_and_no_script_fails(self) -> None:
        self.show(fleet.content(HOSTS))
        self.assertEqual([], self.page.errors)
        self.assertEqual([self.file.as_uri()], self.page.requests)

    def test_what_could_not_be_read_is_on_the_page(self) -> None:
        about = content.About(
            'A cloud', 0.0, '1.2.3', 0, 'host aggregate gpu', ('Not shown: x',)
        )
        hosts = [
            dataclasses.replace(each, hypervisor=None, zone='', aggregates=())
            for each in fleet.hosts(3)
        ]
        self.show(content.document(hosts, {}, about), 'fold=0')
        self.assertEqual(['Not shown: x'], self.page.texts('.notice'))
        self.assertEqual(
            'Only host aggregate gpu. As of 1970-01-01 00:00:00 UTC; reports '
            'never count as stale.',
            self.page.text('#made'),
        )
        self.assertIn('hvfilter 1.2.3', self.page.text('#origin'))
        self.page.click('#body button.row')
        self.assertEqual(3, self.page.texts('.hosts td').count('not known'))
        self.assertEqual([], self.page.errors)

    def test_cloud_without_hosts_has_a_page(self) -> None:
        self.show(fleet.content(0))
        self.assertEqual('None of 0 hosts matches.', self.status())
        self.assertEqual([], self.page.errors)

    def test_paper_has_every_host(self) -> None:
        self.show(fleet.content(HOSTS))
        before = self.page.texts('#body .names')
        self.assertTrue(self.page.printed().startswith(b'%PDF-'))
        self.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        names = self.page.evaluate(
            "[...document.querySelectorAll('#names bdi')]"
            '.map((each) => each.textContent)'
        )
        hosts = sorted(each.name for each in fleet.hosts(HOSTS))
        self.assertEqual(hosts, sorted(names))
        self.page.evaluate("dispatchEvent(new Event('afterprint'))")
        self.assertEqual(before, self.page.texts('#body .names'))
        self.assertEqual([''], self.page.texts('#names'))
