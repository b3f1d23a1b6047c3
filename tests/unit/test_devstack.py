# SPDX-License-Identifier: Apache-2.0
"""Each phase of the DevStack plug-in, and the nova.conf that it leaves."""

import os
import pathlib
import re
import shutil
import subprocess

import fixtures
import testtools
from oslo_config import cfg

from tests.fakes import devstack

NOVAS = 'nova.scheduler.filters.all_filters'
OURS = 'hvfilter.scheduler.all_filters'
DEFAULT = re.search(
    '^enabled_filters = (.*)$',
    (devstack.ROOT / 'etc/hvfilter/nova.conf.excerpt').read_text(),
    re.MULTILINE,
)[1].split(',')

# What DevStack and another plug-in that has filters may have written.
OTHERS = """[DEFAULT]
debug = True
[filter_scheduler]
enabled_filters = ComputeFilter, SameHostFilter, DifferentHostFilter
available_filters = nova.scheduler.filters.all_filters
available_filters = blazarnova.scheduler.filters.BlazarFilter
[database]
connection = mysql://
"""

COMMAND = """#!/bin/sh
echo "hvfilter $*" >>"$CALLS"
[ "$1" = prepare ] || exit "$EXIT"
"""


class PluginTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.nova_conf = self.folder / 'nova.conf'
        self.nova_conf.write_text('[DEFAULT]\ndebug = True\n')
        command = self.folder / 'hvfilter'
        command.write_text(COMMAND)
        command.chmod(0o755)
        self.variables = {
            'DEST': str(self.folder / 'opt'),
            'NOVA_CONF': str(self.nova_conf),
            'NOVA_CPU_CONF': '/etc/nova/nova-cpu.conf',
            'ENABLED_SERVICES': 'n-api,n-sch,n-cpu',
            'CALLS': str(self.folder / 'calls'),
            'PATH': f'{self.folder}:{os.environ["PATH"]}',
            'EXIT': '0',
        }

    def run_phase(self, *phase: str, **variables: str) -> int:
        """Run a phase; its exit code."""
        done = devstack.run_phase(*phase, variables=self.variables | variables)
        self.addDetail('stderr', testtools.content.text_content(done.stderr))
        return done.returncode

    def calls(self) -> list[str]:
        path = self.folder / 'calls'
        return path.read_text().splitlines() if path.exists() else []

    def configured(self) -> cfg.ConfigOpts:
        """nova.conf as oslo.config reads it."""
        conf = cfg.ConfigOpts()
        conf.register_opts(
            [
                cfg.ListOpt('enabled_filters', default=DEFAULT[:-1]),
                cfg.MultiStrOpt('available_filters', default=[NOVAS]),
            ],
            group='filter_scheduler',
        )
        conf.register_opts(
            [cfg.StrOpt('mode'), cfg.ListOpt('required')], group='hvfilter'
        )
        conf.register_opt(cfg.BoolOpt('debug'))
        conf([], default_config_files=[str(self.nova_conf)])
        return conf

    def configure(self, **variables: str) -> cfg.ConfigOpts:
        code = self.run_phase('stack', 'post-config', **variables)
        self.assertEqual(0, code)
        return self.configured()

    def test_install_uses_the_clone(self) -> None:
        self.assertEqual(0, self.run_phase('stack', 'install'))
        self.assertEqual(
            [f'setup_develop {self.folder}/opt/hvfilter', 'done'], self.calls()
        )

    def test_default_filters_stay_when_none_are_configured(self) -> None:
        conf = self.configure()
        self.assertEqual(DEFAULT, conf.filter_scheduler.enabled_filters)
        self.assertEqual(
            [NOVAS, OURS], conf.filter_scheduler.available_filters
        )
        self.assertEqual('permissive', conf.hvfilter.mode)
        self.assertEqual(['kvm'], conf.hvfilter.required)
        self.assertTrue(conf.debug)

    def test_filters_of_others_stay_when_they_are_configured(self) -> None:
        self.nova_conf.write_text(OTHERS)
        conf = self.configure()
        self.assertEqual(
            [
                'ComputeFilter',
                'SameHostFilter',
                'DifferentHostFilter',
                'HardwareVirtFilter',
            ],
            conf.filter_scheduler.enabled_filters,
        )
        self.assertEqual(
            [NOVAS, 'blazarnova.scheduler.filters.BlazarFilter', OURS],
            conf.filter_scheduler.available_filters,
        )

    def test_second_run_changes_nothing(self) -> None:
        for text in ('', OTHERS):
            self.nova_conf.write_text(text)
            self.configure()
            first = self.nova_conf.read_text()
            self.configure()
            self.assertEqual(first, self.nova_conf.read_text())

    def test_variables_of_local_conf_win(self) -> None:
        conf = self.configure(
            HVFILTER_MODE='enforcing', HVFILTER_REQUIRED='kvm,slat'
        )
        self.assertEqual('enforcing', conf.hvfilter.mode)
        self.assertEqual(['kvm', 'slat'], conf.hvfilter.required)

    def test_nova_conf_stays_when_no_scheduler_runs(self) -> None:
        before = self.nova_conf.read_text()
        self.configure(ENABLED_SERVICES='n-cpu')
        self.assertEqual(before, self.nova_conf.read_text())

    def test_host_is_published_when_nova_compute_runs(self) -> None:
        self.assertEqual(0, self.run_phase('stack', 'extra'))
        file = '--config-file /etc/nova/nova-cpu.conf'
        self.assertEqual(
            [
                f'sudo hvfilter prepare {file.replace("/etc/nova/", "")}',
                f'hvfilter prepare {file}',
                f'sudo hvfilter publish {file.replace("/etc/nova/", "")}',
                f'hvfilter publish {file}',
                'done',
            ],
            self.calls(),
        )

    def test_nothing_is_published_when_no_nova_compute_runs(self) -> None:
        code = self.run_phase('stack', 'extra', ENABLED_SERVICES='n-sch')
        self.assertEqual(0, code)
        self.assertEqual(['done'], self.calls())

    def test_stack_goes_on_only_when_publishing_may_be_repeated(self) -> None:
        self.assertEqual(0, self.run_phase('stack', 'extra', EXIT='75'))
        self.assertIn('done', self.calls())
        (self.folder / 'calls').unlink()
        self.assertNotEqual(0, self.run_phase('stack', 'extra', EXIT='1'))
        self.assertNotIn('done', self.calls())

    def test_other_phases_call_nothing(self) -> None:
        for phase in (
            ('stack', 'pre-install'),
            ('stack', 'test-config'),
            ('unstack',),
        ):
            self.assertEqual(0, self.run_phase(*phase))
        self.assertEqual(['done'] * 3, self.calls())

    def test_clean_removes_what_install_made(self) -> None:
        made = self.folder / 'opt/hvfilter/hvfilter.egg-info'
        made.mkdir(parents=True)
        self.assertEqual(0, self.run_phase('clean'))
        self.assertFalse(made.exists())
        self.assertTrue(made.parent.exists())


class ScriptTest(testtools.TestCase):
    def test_shellcheck_finds_nothing(self) -> None:
        if shutil.which('shellcheck') is None:
            self.skipTest('shellcheck is not installed')
        done = subprocess.run(
            ['shellcheck', 'plugin.sh', 'settings'],
            cwd=devstack.PLUGIN,
            capture_output=True,
            text=True,
        )
        self.assertEqual('', done.stdout + done.stderr)

    def test_name_is_what_devstack_reads_from_setup_cfg(self) -> None:
        # It takes every line that starts with "name" and has "=".
        text = (devstack.ROOT / 'setup.cfg').read_text()
        self.assertEqual(
            ['hvfilter'], re.findall(r'^name.*= *(\S+)', text, re.MULTILINE)
        )
