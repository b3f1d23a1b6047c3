# SPDX-License-Identifier: Apache-2.0
"""What a person does with the page, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable

from hvfilter.osc.fleet import Host
from hvfilter.rules.capability_state import CapabilityState
from tests.page import base, fleet

HOSTS = 100
MANY = 260
"""More rows than are shown at first."""

CHOSEN = (
    ('has=nested', lambda host: _is(host, 'nested', CapabilityState.HAS)),
    ('lacks=sev', lambda host: _is(host, 'sev', CapabilityState.LACKS)),
    (
        'unknown=sev_es',
        lambda host: _is(host, 'sev_es', CapabilityState.UNKNOWN),
    ),
    (
        'has=nested&lacks=mbec',
        lambda host: (
            _is(host, 'nested', CapabilityState.HAS)
            and _is(host, 'mbec', CapabilityState.LACKS)
        ),
    ),
    ('zone=az-west', lambda host: host.zone == 'az-west'),
    (
        f'aggregate={fleet.aggregate("gpu").uuid}',
        lambda host: any(each.name == 'gpu' for each in host.aggregates),
    ),
    ('report=stale', lambda host: host.report == 'stale'),
    (
        'unusable=1&zone=az-east',
        lambda host: (
            host.zone == 'az-east'
            and not (host.hypervisor.up and host.hypervisor.enabled)
        ),
    ),
    ('text=amd+north', lambda host: _read(host, 'amd', 'north')),
    ('text=NORTH-R01', lambda host: _read(host, 'north-r01')),
    ('text=nothing-has-this', lambda host: False),
)


def _is(host: Host, key: str, state: CapabilityState) -> bool:
    return host.state_of(key) is state


def _read(host: Host, *words: str) -> bool:
    text = f'{host.name} {host.facts.vendor}'.lower()
    return all(word in text for word in words)


class SelectionTest(base.PageTestCase):
    def expected(self, wanted: Callable[[Host], bool]) -> list[str]:
        return [each.name for each in fleet.hosts(HOSTS) if wanted(each)]

    def test_address_selects_hosts(self) -> None:
        for fragment, wanted in CHOSEN:
            self.show(fleet.content(HOSTS), f'fold=0&{fragment}')
            self.assertEqual(
                self.expected(wanted), sorted(self.names()), fragment
            )
            self.assertEqual([], self.page.errors)

    def test_controls_select_hosts_and_change_the_address(self) -> None:
        self.show(fleet.content(HOSTS))
        self.page.click('#fold')
        self.page.choose('#state', 'has')
        self.page.choose('#capability', 'nested')
        self.page.choose('#zone', 'az-west')
        self.page.choose('#aggregate', fleet.aggregate('general').uuid)
        self.page.click('#search')
        self.page.write('r01')
        expected = self.expected(
            lambda host: (
                _is(host, 'nested', CapabilityState.HAS)
                and host.zone == 'az-west'
                and any(each.name == 'general' for each in host.aggregates)
                and 'r01' in host.name
            )
        )
        self.assertNotEqual([], expected)
        self.assertEqual(expected, sorted(self.names()))
        address = self.page.evaluate('location.hash.slice(1)')
        self.show(fleet.content(HOSTS), address)
        self.assertEqual(expected, sorted(self.names()))
        self.page.click('#wants button')
        self.page.click('#reset')
        self.assertEqual(HOSTS, len(self.names()))

    def test_tiles_and_chart_select_hosts(self) -> None:
        self.show(fleet.content(HOSTS), 'fold=0')
        self.page.click('#tile-stale')
        stale = self.expected(lambda host: host.report == 'stale')
        self.assertEqual('tile-stale', self.page.focused)
        self.assertEqual(stale, sorted(self.names()))
        self.page.click('#tile-stale')
        self.page.click('#chart [data-key="tdx"]')
        tdx = self.expected(lambda host: _is(host, 'tdx', CapabilityState.HAS))
        self.assertEqual(tdx, sorted(self.names()))
        self.assertEqual(['has tdx ✕'], self.page.texts('#wants button'))

    def test_command_lists_the_same_hosts(self) -> None:
        self.show(fleet.content(HOSTS), 'has=nested&lacks=tdx&zone=az-west')
        self.assertEqual(
            'openstack hypervisor capability list --has nested --lacks tdx '
            '--availability-zone az-west --max-age-weeks 2',
            self.page.text('#command-line code'),
        )
        for nameless in ('text=amd', 'unusable=1', 'stale=kvm', ''):
            self.show(fleet.content(HOSTS), nameless)
            self.assertEqual('', self.page.text('#command-line'), nameless)

    def test_strange_addresses_do_no_harm(self) -> None:
        for fragment in (
            'sort=constructor',
            'sort=__proto__&fold=0',
            'has=__proto__&has=constructor',
            '%E0%A4%A&=&&text',
            'zone=%3Cscript%3E',
            'report=toString',
        ):
            self.show(fleet.content(HOSTS), fragment)
            self.assertEqual([], self.page.errors, fragment)
            self.assertIn(f'of {HOSTS} hosts', self.status(), fragment)

    def test_names_are_copied(self) -> None:
        self.show(fleet.content(HOSTS), 'report=stale')
        self.page.permit('clipboardReadWrite', 'clipboardSanitizedWrite')
        self.page.click('#copy')
        copied = self.page.evaluate('navigator.clipboard.readText()')
        stale = self.expected(lambda host: host.report == 'stale')
        self.assertEqual(stale, sorted(copied.splitlines()))


class TableTest(base.PageTestCase):
    def test_heads_sort_and_say_so(self) -> None:
        self.show(fleet.content(HOSTS), 'fold=0')
        hosts = fleet.hosts(HOSTS)
        names = [each.name for each in hosts]
        self.assertEqual(names, self.names())
        self.assertEqual('ascending', self.sorted('name'))
        self.page.click('#head [data-key="name"] button')
        self.assertEqual(names[::-1], self.names())
        self.assertEqual('descending', self.sorted('name'))
        self.page.click('#head [data-key="sev"] button')
        self.assertIsNone(self.sorted('name'))
        self.assertEqual('ascending', self.sorted('sev'))
        have = [
            each.name
            for each in hosts
            if _is(each, 'sev', CapabilityState.HAS)
        ]
        self.assertEqual(have, self.names()[: len(have)])
        self.page.click('#head [data-key="vcpus"] button')
        self.assertEqual('descending', self.sorted('vcpus'))
        self.names()
        figures = self.page.texts('#body td.figure:nth-last-child(2)')
        vcpus = [int(each.replace(',', '')) for each in figures]
        self.assertEqual(sorted(vcpus, reverse=True), vcpus)

    def sorted(self, key: str) -> str | None:
        found: str | None = self.page.evaluate(
            f'document.querySelector(\'#head [data-key="{key}"]\')'
            ".getAttribute('aria-sort')"
        )
        return found

    def test_names_with_numbers_are_sorted_as_people_do(self) -> None:
        content = fleet.content(3)
        content['hosts']['name'] = ['kvm10', 'kvm9', 'kvm1']
        self.show(content, 'fold=0')
        self.assertEqual(['kvm1', 'kvm9', 'kvm10'], self.names())

    def test_most_frequent_kind_is_first(self) -> None:
        self.show(fleet.content(HOSTS))
        counts = self.page.texts('#body td.figure:nth-child(2)')
        numbers = list(map(int, counts))
        self.assertEqual(sorted(numbers, reverse=True), numbers)
        labels = self.page.texts('#body .kind')
        self.assertEqual(
            [f'Kind {place + 1}' for place in range(len(labels))], labels
        )

    def test_many_rows_come_fifty_at_a_time(self) -> None:
        self.show(fleet.content(MANY), 'fold=0')
        self.assertEqual(50, len(self.page.texts('#body > tr')))
        self.assertIn(f'50 of {MANY} rows', self.page.text('#more'))
        self.page.click('#more button')
        self.assertEqual(100, len(self.page.texts('#body > tr')))
        # Who uses the keyboard goes on where the new rows start.
        row = '#body > tr:nth-child(51) button.row'
        expected = self.page.evaluate(f"document.querySelector('{row}').id")
        self.assertEqual(expected, self.page.focused)
        self.page.click('#more button:last-child')
        self.assertEqual(MANY, len(self.page.texts('#body > tr')))
        self.assertEqual('', self.page.text('#more'))

    def test_opened_row_shows_fifty_hosts_and_then_all(self) -> None:
        self.show(fleet.content(MANY))
        self.page.click('#kind-1')
        self.assertEqual(50, len(self.page.texts('.hosts tbody tr')))
        self.page.click('.details > button')
        [count, *_] = self.page.texts('#body td.figure:nth-child(2)')
        self.assertEqual(int(count), len(self.page.texts('.hosts tbody tr')))
        self.page.click('#kind-1')
        self.assertEqual([], self.page.texts('.details'))

    def test_opened_row_stays_open_while_the_selection_changes(self) -> None:
        self.show(fleet.content(HOSTS))
        self.page.click('#kind-2')
        self.page.choose('#zone', 'az-west')
        expanded = self.page.evaluate(
            "document.getElementById('kind-2').getAttribute('aria-expanded')"
        )
        self.assertEqual('true', expanded)
        self.assertEqual({'az-west'}, set(self.zones()))

    def zones(self) -> list[str]:
        return self.page.texts('.hosts tbody td:nth-child(2)')

    def test_row_that_stays_shows_what_is_selected_now(self) -> None:
        self.show(fleet.content(HOSTS))
        counts = self.page.texts('#body td.figure:nth-child(2)')
        self.page.choose('#zone', 'az-west')
        self.page.click('#kind-1')
        expected = len(self.page.texts('.hosts tbody tr'))
        [count, *_] = self.page.texts('#body td.figure:nth-child(2)')
        self.assertEqual(expected, int(count))
        self.assertLess(expected, int(counts[0]))
        self.page.click('#kind-1')
        self.page.choose('#zone', '')
        self.page.click('#kind-1')
        self.assertEqual(
            int(counts[0]), len(self.page.texts('.hosts tbody tr'))
        )


class KeyboardTest(base.PageTestCase):
    def test_keys_alone_find_and_open_a_host(self) -> None:
        self.show(fleet.content(HOSTS), 'fold=0')
        self.page.press('Tab')
        self.assertEqual('skip', self.page.focused)
        for _ in range(20):
            if self.page.focused == 'search':
                break
            self.page.press('Tab')
        self.assertEqual('search', self.page.focused)
        wanted = fleet.hosts(HOSTS)[17].name
        self.page.write(wanted.split('.')[0])
        self.assertEqual([wanted], self.names())
        self.page.press('ArrowDown')
        self.page.press('Enter')
        self.assertEqual([wanted], self.page.texts('.hosts tbody th'))
        self.page.press('Enter')
        self.assertEqual([], self.page.texts('.hosts'))
        self.page.press('Escape')
        self.assertEqual('search', self.page.focused)
        self.page.press('Escape')
        self.assertEqual(HOSTS, len(self.names()))

    def test_arrows_move_between_rows(self) -> None:
        self.show(fleet.content(HOSTS))
        ids = self.page.evaluate(
            "[...document.querySelectorAll('button.row')].map((b) => b.id)"
        )
        self.page.evaluate("document.getElementById('search').focus()")
        for key, expected in (
            ('ArrowDown', ids[0]),
            ('ArrowDown', ids[1]),
            ('ArrowUp', ids[0]),
            ('End', ids[-1]),
            ('ArrowDown', ids[-1]),
            ('Home', ids[0]),
            ('ArrowUp', 'search'),
        ):
            self.page.press(key)
            self.assertEqual(expected, self.page.focused, key)

    def test_skip_link_leads_to_the_table_and_keeps_the_selection(
        self,
    ) -> None:
        self.show(fleet.content(HOSTS), 'has=tdx')
        before = self.status()
        self.page.press('Tab')
        self.page.press('Enter')
        self.assertEqual('matrix', self.page.focused)
        self.assertEqual(before, self.status())


class ColoursTest(base.PageTestCase):
    def background(self) -> str:
        return str(
            self.page.evaluate(
                'getComputedStyle(document.documentElement).backgroundColor'
            )
        )

    def test_page_follows_the_system_until_a_person_chooses(self) -> None:
        self.show(fleet.content(3))
        self.page.prefer('light')
        light = self.background()
        self.page.prefer('dark')
        dark = self.background()
        self.assertNotEqual(light, dark)
        seen = []
        for _ in range(3):
            self.page.click('#theme')
            seen.append((self.page.text('#theme'), self.background()))
        self.assertEqual(
            [
                ('Colours: light', light),
                ('Colours: dark', dark),
                ('Colours: automatic', dark),
            ],
            seen,
        )

    def test_choice_is_kept(self) -> None:
        self.show(fleet.content(3))
        self.page.click('#theme')
        self.page.open(self.file)
        self.assertEqual('Colours: light', self.page.text('#theme'))
