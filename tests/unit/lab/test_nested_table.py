# SPDX-License-Identifier: Apache-2.0

import json

import testtools

from tests.lab import nested_table, table

ON = table.BY_NAME['amd-nested-on']
OFF = table.BY_NAME['amd-nested-off']


def run(outcome='native', ratio=1.0, ms=100):
    return [outcome, ratio, ms * 1_000_000, 'IO']


def results(**runs):
    evidence = [
        {'stage': stage, 'strength': 'ioctl', 'state': state, 'source': source}
        for stage, state, source in (
            ('firmware', 'absent', 'KVM_GET_API_VERSION'),
            ('kvm', 'unknown', 'nested smoke run'),
            ('kvm', 'present', 'KVM_GET_SUPPORTED_CPUID'),
        )
    ]
    keys = ('kvm', 'nested', 'nested_slat')
    report = {'capabilities': {key: {'evidence': evidence} for key in keys}}
    return {
        'probe': {'status': 0, 'out': json.dumps(report)},
        'smoke_runs': runs,
    }


class NestedTableTest(testtools.TestCase):
    def test_row_of_each_guest(self):
        runs = [
            run(ratio=r, ms=m) for r, m in ((1.5, 90), (0.9, 300), (1, 80))
        ]
        found = results(nested=[*runs, run('inconclusive', None, 3000)])
        self.assertEqual(
            [
                (
                    'amd-nested-on',
                    'nested',
                    'present',
                    '3 of 4',
                    '1',
                    '0.90',
                    '1.00',
                    '1.50',
                    '195',
                    '3000',
                )
            ],
            list(nested_table.rows(ON, found)),
        )

    def test_row_when_no_guest_was_run(self):
        (row,) = nested_table.rows(OFF, results(nested='not offered'))
        self.assertEqual('not offered', row[3])

    def test_no_row_when_nothing_was_repeated(self):
        self.assertEqual([], list(nested_table.rows(ON, {})))

    def test_wrong_when_a_run_contradicts_what_is_true(self):
        for host, outcome, wrong in (
            (ON, 'native', False),
            (ON, 'inconclusive', False),
            (ON, 'failed', True),
            (ON, 'emulated', True),
            (OFF, 'failed', False),
            (OFF, 'inconclusive', False),
            (OFF, 'native', True),
        ):
            found = results(nested=[run(), run(outcome)])
            if host is OFF:
                found = results(nested=[run('failed'), run(outcome)])
            problems = list(nested_table.wrong(host, found))
            self.assertEqual(wrong, bool(problems), (host.name, outcome))

    def test_wrong_when_no_guest_was_run_where_one_must(self):
        found = results(nested='EACCES')
        self.assertEqual(1, len(list(nested_table.wrong(ON, found))))
        self.assertEqual([], list(nested_table.wrong(OFF, found)))

    def test_lines_have_columns(self):
        found = results(kvm=[run()], nested='not offered')
        lines = list(nested_table.lines(nested_table.rows(ON, found)))
        self.assertEqual(3, len(lines))
        at = lines[0].index('ratio min')
        self.assertEqual('1.00', lines[1][at : at + 4])
