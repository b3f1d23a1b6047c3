# SPDX-License-Identifier: Apache-2.0
"""What a run costs when nothing has changed, on this very host."""

import json
import subprocess
import sys

from hvfilter.model import catalogue
from tests.functional.placement import test_publish

LARGEST_MIB = 40
"""Beyond the interpreter and all modules."""

SCRIPT = """
import importlib, json, re, sys, time

for name in json.loads(sys.argv[1]):
    importlib.import_module(name)

def peak_mib():
    # Not getrusage(): its peak is that of the process which started us.
    with open('/proc/self/status') as status:
        return int(re.search(r'VmHWM:\\s+(\\d+) kB', status.read())[1]) / 1024

from hvfilter.cli import main
before_mib, before_s = peak_mib(), time.process_time()
status = main.main(sys.argv[2:])
after_mib, after_s = peak_mib(), time.process_time()
print(json.dumps({
    'status': status,
    'modules': sorted(sys.modules),
    'imports_mib': before_mib,
    'grown_mib': after_mib - before_mib,
    'cpu_ms': (after_s - before_s) * 1000,
}))
"""


class CostTest(test_publish.CommandTestCase):
    def arguments(self, *more):
        return [
            'publish',
            '--config-file',
            str(self.conf),
            '--provider-uuid',
            self.uuid,
            '--to',
            'placement',
            '--format',
            'csv',
        ]

    def measure(self, modules):
        done = subprocess.run(
            [
                sys.executable,
                '-c',
                SCRIPT,
                json.dumps(modules),
                *self.arguments(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        told = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(0, told['status'], done.stderr)
        return told

    def test_cost_when_nothing_changed(self):
        first = self.measure([])
        # What a run imports on its way, without the test's own script.
        modules = [
            name
            for name in first['modules']
            if not name.startswith('_')
            and name.partition('.')[0] not in ('sitecustomize', 'encodings')
        ]
        own = self.own()
        requests = len(self.proxy.requests)
        self.measure([])
        cost = self.measure(modules)
        requests = (len(self.proxy.requests) - requests) / 2
        print(
            f'\na run that changes nothing: {requests:g} request to '
            f'Placement, {cost["cpu_ms"]:.0f} ms CPU, '
            f'{cost["grown_mib"]:.1f} MiB beyond the interpreter and its '
            f'modules ({cost["imports_mib"]:.1f} MiB)'
        )
        self.assertEqual(own, self.own())
        self.assertIn(catalogue.REPORTED_TRAIT, own)
        self.assertEqual(1, requests)
        self.assertLess(cost['grown_mib'], LARGEST_MIB)
