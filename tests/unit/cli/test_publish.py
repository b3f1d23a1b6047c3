# SPDX-License-Identifier: Apache-2.0

import json
import os
import socket
from unittest import mock

import fixtures
import testtools
import yaml

from hvfilter.cli import host_identity, placement_command
from hvfilter.conf import agent
from hvfilter.host.base import Denied
from hvfilter.model import document
from hvfilter.model.problem import Problem
from hvfilter.publish import base
from tests.fakes import reports
from tests.unit.cli.base import CommandTestCase

UUID = '6b8d6a2e-4f0b-4c86-9d4f-0e6f7f0f1c11'
KVM = 'CUSTOM_HVFILTER_KVM'
COLUMNS = tuple(
    word
    for column in ('Publisher', 'Trait', 'Change')
    for word in ('-c', column)
)


class PublishTest(CommandTestCase):
    """To files, for which no service is needed."""

    def setUp(self):
        super().setUp()
        self.yaml = self.folder / 'hvfilter.yaml'
        self.prom = self.folder / 'hvfilter.prom'
        self.conf = self.folder / 'hvfilter.conf'
        self.configure()

    def configure(self, *lines):
        self.conf.write_text(
            '\n'.join(
                [
                    '[hvfilter]',
                    'publishers = provider-config, textfile',
                    f'provider_config_file = {self.yaml}',
                    f'textfile = {self.prom}',
                    *lines,
                ]
            )
        )

    def publish(self, *argv, name='amd-everything', about=True):
        where = ('--provider-name', 'n') if about else ()
        return self.run_command(
            'publish',
            '--config-file',
            self.conf,
            '--snapshot',
            self.host(name),
            *where,
            *argv,
        )

    def traits(self):
        document = yaml.safe_load(self.yaml.read_text())
        return document['providers'][0]['traits']['additional']

    def test_publish_when_recorded(self):
        ran = self.publish('-f', 'json', *COLUMNS)
        self.assertEqual(0, ran.status, ran.err)
        self.assertIn(KVM, self.traits())
        rows = json.loads(ran.out)
        self.assertIn(
            {'Publisher': 'provider-config', 'Trait': KVM, 'Change': 'added'},
            rows,
        )
        self.assertIn('Restart nova-compute', ran.err)
        # A journal keeps only this: the unit throws the table away.
        self.assertRegex(ran.err, rf'changed \(added .*\b{KVM}\b')
        self.assertIn(
            'hvfilter_publish_success{publisher="provider-config"} 1.0',
            self.prom.read_text(),
        )

    def test_no_marker_when_kvm_is_unknown(self):
        """It would turn "unknown" into "lacks it", a wrong no."""
        ran = self.publish(name='kvm-refused')
        self.assertEqual(75, ran.status, ran.err)
        self.assertIn('Could not determine whether this host', ran.err)
        self.assertIn('To find out: ', ran.err)
        self.assertNotIn('CUSTOM_HVFILTER_REPORTED', self.traits())
        ran = self.publish(name='amd-everything')
        self.assertNotIn('Could not determine', ran.err)
        self.assertIn('CUSTOM_HVFILTER_REPORTED', self.traits())

    def test_status_when_agent_may_no_longer_look(self):
        """At the first run, and for as long as the traits stay."""
        self.configure('report_max_age_weeks = 3')
        self.assertEqual(0, self.publish(name='intel-all-on').status)
        for _ in range(2):
            ran = self.publish(name='kvm-refused')
            self.assertEqual(75, ran.status, ran.err)
            self.assertIn(f'{KVM} was published earlier', ran.err)
            self.assertIn('unknown for more than 3 weeks', ran.err)
            self.assertRegex(
                self.prom.read_text(),
                r'hvfilter_publish_unverified\{publisher="provider-config"\} '
                r'[1-9]',
            )
        self.assertIn(KVM, self.traits())
        self.assertEqual(0, self.publish(name='intel-all-on').status)
        self.assertIn(
            'hvfilter_publish_unverified{publisher="provider-config"} 0.0',
            self.prom.read_text(),
        )
        self.configure('report_max_age_weeks = 0')
        self.assertIn(
            'It stays until the state is known',
            self.publish(name='kvm-refused').err,
        )

    def test_week_when_clock_was_never_set(self):
        report = self.folder / 'report.json'
        report.write_text(document.dumps(reports.report(['kvm'])))
        os.utime(report, (0, 0))
        ran = self.publish('--report', report)
        self.assertEqual(0, ran.status, ran.err)
        self.assertIn('Set the clock', ran.err)

    def test_publish_when_only_told(self):
        ran = self.publish('--dry-run')
        self.assertEqual(0, ran.status, ran.err)
        self.assertFalse(self.yaml.exists())
        self.assertFalse(self.prom.exists())
        self.assertIn('would be changed', ran.err)
        self.assertIn('schema_version', ran.err)
        self.assertIn(KVM, ran.out)

    def test_publish_when_one_fails(self):
        self.yaml.write_text('mine: too\n')
        ran = self.publish()
        self.assertEqual(1, ran.status)
        self.assertIn('failed', ran.out)
        self.assertIn(str(self.yaml), ran.err)
        self.assertIn(
            'hvfilter_publish_success{publisher="provider-config"} 0.0',
            self.prom.read_text(),
        )

    def test_publish_when_it_is_not_said_which_host(self):
        report = self.folder / 'report.json'
        probed = self.run_command(
            'probe', '--snapshot', self.host('amd-everything'), '-f', 'json'
        )
        report.write_text(probed.out)
        for chosen in (
            ('--snapshot', self.host('amd-everything')),
            ('--sysroot', self.folder),
            ('--report', report),
        ):
            ran = self.run_command(
                'publish', '--config-file', self.conf, *chosen
            )
            self.assertEqual(1, ran.status)
            self.assertIn('--provider-uuid', ran.err)
            self.assertFalse(self.yaml.exists())
        self.configure(f'provider_uuid = {UUID}')
        ran = self.run_command(
            'publish', '--config-file', self.conf, '--report', report
        )
        self.assertEqual(0, ran.status, ran.err)
        self.assertIn(KVM, self.traits())

    def test_publish_when_publisher_is_unknown(self):
        ran = self.publish('--to', 'nowhere')
        self.assertEqual(1, ran.status)
        for word in ('nowhere', 'placement', 'textfile'):
            self.assertIn(word, ran.err)

    def test_publish_when_overruled(self):
        self.configure('overrule = kvm=absent')
        ran = self.publish()
        self.assertEqual(0, ran.status, ran.err)
        self.assertNotIn(KVM, self.traits())
        self.assertIn(str(self.conf), ran.err)
        self.assertIn('detected: present', ran.err)

    def test_publish_when_overruled_wrongly(self):
        self.configure('overrule = kvm=maybe')
        ran = self.publish()
        self.assertEqual(1, ran.status)
        self.assertIn('kvm=present', ran.err)
        self.assertFalse(self.yaml.exists())

    def test_withdraw_when_published(self):
        self.publish()
        ran = self.run_command('withdraw', '--config-file', self.conf)
        # nova-compute holds what it read.
        self.assertEqual(75, ran.status, ran.err)
        self.assertIn('hvfilter withdraw --to placement', ran.err)
        self.assertFalse(self.yaml.exists())
        self.assertIn('hvfilter_withdrawn', self.prom.read_text())
        ran = self.run_command('withdraw', '--config-file', self.conf)
        self.assertEqual(0, ran.status, ran.err)

    def test_withdraw_when_a_timer_would_publish_again(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.publish.left_over.triggers',
                lambda: ('hvfilter-publish.timer',),
            )
        )
        ran = self.run_command('withdraw', '--config-file', self.conf)
        self.assertEqual(75, ran.status, ran.err)
        self.assertIn('hvfilter-publish.timer', ran.err)
        self.assertIn('systemctl disable --now', ran.err)


class Files:
    """A host that has these files."""

    def __init__(self, files):
        self.files = files

    def read(self, path):
        found = self.files.get(path)
        if isinstance(found, bytes):
            return found
        raise Denied(f'read {path}', found or 'ENOENT')


class IdentityTest(CommandTestCase):
    def identity(self, files, config_files=()):
        conf = agent.load([])
        conf.set_override('config_file', list(config_files) or None)
        return host_identity.identity(Files(files), conf)

    def test_identity_when_nova_keeps_a_file(self):
        path = '/var/lib/nova/compute_id'
        found = self.identity({path: UUID.encode() + b'\n'})
        self.assertEqual(((path, f'{UUID}\n'),), found.compute_ids)

    def test_identity_when_file_is_beside_the_configuration(self):
        path = str(self.folder / 'compute_id')
        conf_file = self.folder / 'nova.conf'
        conf_file.write_text(f'[DEFAULT]\nstate_path = {self.folder}/state\n')
        conf = agent.load([str(conf_file)])
        other = f'{self.folder}/state/compute_id'
        found = host_identity.identity(Files({path: b'a', other: b'b'}), conf)
        self.assertEqual(((path, 'a'), (other, 'b')), found.compute_ids)

    def test_identity_when_state_path_has_novas_variables(self):
        conf_file = self.folder / 'nova.conf'
        conf_file.write_text('[DEFAULT]\nstate_path = $pybasedir/x\n')
        conf = agent.load([str(conf_file)])
        path = '/var/lib/nova/compute_id'
        found = host_identity.identity(Files({path: b'a'}), conf)
        self.assertEqual(((path, 'a'),), found.compute_ids)
        ((what, why),) = found.unreadable
        self.assertIn('state_path', what)
        self.assertIn('pybasedir', why)

    def test_identity_when_file_is_closed(self):
        found = self.identity({'/var/lib/nova/compute_id': 'EACCES'})
        self.assertEqual((), found.compute_ids)
        self.assertTrue(found.names)
        ((path, why),) = found.unreadable
        self.assertEqual('/var/lib/nova/compute_id', path)
        self.assertIn('EACCES', why)


class HostNamesTest(testtools.TestCase):
    def names(self, name, canonical=None):
        def getaddrinfo(*args, **kwargs):
            if canonical is None:
                raise socket.gaierror('unknown')
            return [(2, 1, 6, canonical, ('127.0.0.1', 0))]

        with (
            mock.patch('socket.gethostname', return_value=name),
            mock.patch('socket.getaddrinfo', getaddrinfo),
        ):
            return host_identity.host_names()

    def test_names_when_resolved(self):
        self.assertEqual(('n.example', 'n'), self.names('n', 'n.example'))
        self.assertEqual(('n.example',), self.names('n.example', 'other'))
        self.assertEqual(('n',), self.names('n', 'localhost.localdomain'))
        self.assertEqual(('n',), self.names('n', ''))
        self.assertEqual(('n',), self.names('n'))


class ResultTest(testtools.TestCase):
    def test_status_when_some_fail(self):
        passing = Problem('a', 'b', transient=True)
        lasting = Problem('a', 'b')
        for problems, expected in (
            ((), 0),
            ((None, passing), 75),
            ((lasting,), 1),
            ((passing, lasting), 1),
        ):
            outcomes = [base.Outcome('x', 'y', problem=p) for p in problems]
            self.assertEqual(expected, placement_command.exit_status(outcomes))

    def test_status_when_not_all_is_settled(self):
        for more, expected in (
            ({}, 0),
            ({'unverified': frozenset({KVM})}, 75),
            ({'returning': frozenset({KVM})}, 75),
        ):
            outcome = base.Outcome('x', 'y', **more)
            self.assertEqual(
                expected,
                placement_command.exit_status([outcome]),
            )
