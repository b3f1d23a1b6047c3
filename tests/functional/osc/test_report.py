# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability report``."""

from __future__ import annotations

import json
import pathlib
import re
import stat
from typing import Any

from tests.functional.osc import base

_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>')


def data_of(text: str) -> Any:
    """What a page holds."""
    found = _DATA.search(text)
    assert found is not None
    return json.loads(found[1])


def as_listed(data: Any) -> list[dict[str, Any]]:
    """The rows of ``list --long``, out of the data of a page."""
    keys = [each['key'] for each in data['capabilities']]
    rows = []
    for values in zip(*data['hosts'].values(), strict=True):
        host = dict(zip(data['hosts'], values, strict=True))
        kind = data['kinds'][host['kind']]
        states = [data['states'][int(x)] for x in kind['states']]
        by_state = {
            state: sorted(
                key
                for key, each in zip(keys, states, strict=True)
                if each == state
            )
            for state in data['states']
        }
        groups = host['aggregates']
        rows.append(
            {
                'Host': host['name'],
                'ID': host['uuid'],
                'Report': kind['report'],
                'Capabilities': by_state['has'],
                'Unknown Capabilities': by_state['unknown'],
                'State': host['state'] or 'n/a',
                'Status': host['status'] or 'n/a',
                'Availability Zone': data['zones'][host['zone']] or 'n/a',
                'Aggregates': 'n/a'
                if groups is None
                else [data['aggregates'][each]['name'] for each in groups],
            }
        )
    return rows


class ReportTest(base.CapabilityStatesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = self.folder / 'fleet.html'
        made = self.admin_api.post_aggregate(
            {'aggregate': {'name': 'fast', 'availability_zone': 'az9'}}
        )
        for host in ('intel', 'silent'):
            self.admin_api.add_host_to_aggregate(made['id'], host)
        service = self.admin_api.get_services(
            binary='nova-compute', host='flat'
        )
        self.admin_api.put_service(service[0]['id'], {'status': 'disabled'})

    def report(self, *arguments: str, user: str = 'admin') -> base.Ran:
        return self.capability(
            'report', '--html', str(self.file), *arguments, user=user
        )

    def listed(self, *arguments: str, user: str = 'admin') -> Any:
        ran = self.capability(
            'list', '--long', *arguments, '-f', 'json', user=user
        )
        return ran.json

    def test_page_has_the_data_of_list(self) -> None:
        for arguments in (
            (),
            ('--aggregate', 'fast'),
            ('--availability-zone', 'az9'),
            ('--max-age-weeks', '9'),
        ):
            self.report(*arguments)
            data = data_of(self.file.read_text())
            self.assertEqual(self.listed(*arguments), as_listed(data))
        self.assertEqual(6, len(self.listed()))

    def test_page_counts_what_summary_counts(self) -> None:
        self.report()
        data = data_of(self.file.read_text())
        ran = self.capability('summary', '--long', '-f', 'json')
        summary = {row['Capability']: row for row in ran.json}
        hosts, kinds = data['hosts'], data['kinds']
        for place, capability in enumerate(data['capabilities']):
            states = [
                data['states'][int(kinds[kind]['states'][place])]
                for kind in hosts['kind']
            ]
            row = summary[capability['key']]
            for state in data['states']:
                self.assertEqual(row[state.capitalize()], states.count(state))
            for column, total in (
                ('vcpus', row['Free vCPUs']),
                ('memory_mib', row['Free Memory MiB']),
            ):
                free = zip(hosts[column], states, strict=True)
                self.assertEqual(total, sum(n for n, s in free if s == 'has'))

    def test_message_names_the_file_and_standard_output_is_empty(self) -> None:
        ran = self.report()
        self.assertEqual('', ran.out)
        self.assertIn(f'Wrote {self.file}: 6 hosts', ran.err)

    def test_page_goes_to_standard_output_on_request(self) -> None:
        ran = self.capability('report', '--html', '-', '--title', 'A & <b>')
        self.assertTrue(ran.out.startswith('<!DOCTYPE html>'))
        self.assertTrue(ran.out.endswith('</html>\n'))
        self.assertIn('<title>A &amp; &lt;b&gt;</title>', ran.out)
        self.assertEqual('A & <b>', data_of(ran.out)['title'])

    def test_page_says_what_a_user_may_not_see(self) -> None:
        self.reads_placement = True
        ran = self.report(user='reader')
        data = data_of(self.file.read_text())
        self.assertIn('Not shown: host aggregates', ' '.join(data['notes']))
        for note in data['notes']:
            self.assertIn(note, ran.err)
        self.assertEqual(self.listed(user='reader'), as_listed(data))

    def test_earlier_page_stays_when_the_cloud_does_not_answer(self) -> None:
        self.file.write_text('earlier')
        self.file.chmod(0o640)
        self.endpoints['placement'] = 'http://127.0.0.1:9/placement'
        self.fails('report', '--html', str(self.file))
        self.assertEqual('earlier', self.file.read_text())
        self.assertEqual([], self.left_over())

    def test_page_replaces_an_earlier_one_as_a_whole(self) -> None:
        self.file.write_text('x' * 10_000_000)
        self.report()
        self.assertTrue(self.file.read_text().endswith('</html>\n'))
        self.assertEqual([], self.left_over())
        self.assertFalse(stat.S_IWOTH & self.file.stat().st_mode)

    def left_over(self) -> list[pathlib.Path]:
        return list(self.folder.glob('.fleet.html*'))

    def test_folder_that_is_missing_is_an_error(self) -> None:
        line = self.fails('report', '--html', str(self.folder / 'no' / 'x'))
        self.assertIn(f'Cannot write {self.folder}/no/x', line)

    def test_as_many_requests_as_summary_by_aggregate(self) -> None:
        ran = self.report()
        other = self.capability('summary', '--by', 'aggregate')
        self.assertEqual(sorted(other.placement), sorted(ran.placement))
        self.assertEqual(sorted(other.nova), sorted(ran.nova))
