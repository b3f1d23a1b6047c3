# SPDX-License-Identifier: Apache-2.0
"""The command, from its arguments to a real Placement, through a Keystone."""

import contextlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import fixtures

from hvfilter.cli import main
from hvfilter.model import catalogue, dated, document
from hvfilter.model.finding import State
from hvfilter.model.week import Week
from tests.fakes import keystone, proxy, reports
from tests.functional.placement import base

KVM = 'CUSTOM_HVFILTER_KVM'
EPT = 'CUSTOM_HVFILTER_EPT'
SEV = 'CUSTOM_HVFILTER_SEV'
MARKER = catalogue.REPORTED_TRAIT
NEW = frozenset({KVM, SEV, MARKER})
OLD = frozenset({EPT, SEV, MARKER})

COMMAND = 'hvfilter.cli.main'

FAILED = 1
TRY_AGAIN = 75


def writes(request):
    return request.method == 'PUT' and request.path.endswith('/traits')


COLUMNS = ('-c', 'Publisher', '-c', 'Trait', '-c', 'Change')
"""Rows instead of a document, in which the number of requests stands."""


class CommandTestCase(base.PlacementTestCase):
    """Placement behind a proxy, Keystone, a report and a configuration."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.FakeLogger())
        self.week = Week.at(time.time())
        for name in (*catalogue.OWN_TRAITS, *self.dates()):
            self.create_trait(name)
        self.put_traits(base.FOREIGN | OLD)
        self.proxy = self.useFixture(proxy.Proxy(self.server.url))
        self.keystone = self.useFixture(keystone.Keystone(self.proxy.url))
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.report = self.folder / 'report.json'
        self.report.write_text(
            document.dumps(reports.report(['kvm', 'sev'], ['ept']))
        )
        self.conf = self.folder / 'nova.conf'
        self.configure()

    def listing(self, command, *more):
        """A command that lists what it did, and how to call it."""
        named = ['--config-file', str(self.conf), '--format', 'json']
        return [command, *named, *more]

    def dates(self):
        """Names with a week that the report of this test needs."""
        removed = dated.Dated(EPT, dated.Kind.REMOVED, self.week)
        return dated.reported_in(self.week), str(removed)

    def known(self):
        """The names with a week not included."""
        known = self.client().traits_known(catalogue.TRAIT_PREFIX)
        return base.undated(known)

    def configure(self, **changes):
        options = {
            'auth_type': 'password',
            'auth_url': self.keystone.url,
            'username': 'nova',
            'password': keystone.Keystone.PASSWORD,
            'project_name': 'service',
            'user_domain_name': 'Default',
            'project_domain_name': 'Default',
            'region_name': 'RegionOne',
            **changes,
        }
        lines = [f'{name} = {value}' for name, value in options.items()]
        text = '\n'.join(['[placement]', *lines, ''])
        self.conf.write_text(text)

    def arguments(self, *more):
        return [
            'publish',
            '--config-file',
            str(self.conf),
            '--report',
            str(self.report),
            '--provider-name',
            self.NAME,
            '--to',
            'placement',
            '--format',
            'json',
            *COLUMNS,
            *more,
        ]

    def publish(self, *more):
        """As :meth:`run_command` does, within this process."""
        out, err = io.StringIO(), io.StringIO()
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                status = main.main(self.arguments(*more))
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        return subprocess.CompletedProcess(
            more, status, out.getvalue(), err.getvalue()
        )

    def run_command(self, *options):
        """In a process of its own, as a user does."""
        return subprocess.run(
            [sys.executable, '-m', COMMAND, *options, *self.arguments()],
            capture_output=True,
            text=True,
            timeout=120,
        )

    def set_environment(self, **variables):
        for name in os.environ:
            if name.startswith('OS_'):
                self.useFixture(fixtures.EnvironmentVariable(name))
        for name, value in variables.items():
            self.useFixture(fixtures.EnvironmentVariable(name, value))

    def own(self):
        traits = self.traits()
        self.assertEqual(base.FOREIGN, traits - catalogue.own(traits))
        return base.undated(traits)


class PublishTest(CommandTestCase):
    def test_publish_when_something_changed(self):
        told = self.publish('--dry-run')
        self.assertEqual(0, told.returncode, told.stderr)
        self.assertEqual(OLD, self.own())
        done = self.publish()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(NEW, self.own())
        # What the report leaves open is told from what the host lacks.
        unknown = self.traits() & catalogue.UNKNOWN_TRAITS
        self.assertEqual(
            {
                catalogue.BY_KEY[finding.capability].unknown_trait
                for finding in reports.report(['kvm', 'sev'], ['ept']).findings
                if finding.state is State.UNKNOWN
            },
            unknown,
        )
        self.assertEqual(told.stdout, done.stdout)
        self.assertEqual(
            {(KVM, 'added'), (EPT, 'removed'), (SEV, 'kept')}
            | {(MARKER, 'kept')}
            | {(name, 'added') for name in (*self.dates(), *unknown)},
            {(row['Trait'], row['Change']) for row in json.loads(done.stdout)},
        )
        self.assertIn(self.uuid, done.stderr)
        again = self.publish()
        self.assertEqual(0, again.returncode)
        self.assertIn('nothing to change', again.stderr)

    def test_publish_when_uuid_is_given(self):
        done = self.publish('--provider-uuid', self.uuid)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(2, len(self.proxy.requests))
        done = self.publish('--provider-uuid', self.uuid)
        self.assertEqual(3, len(self.proxy.requests))

    def test_publish_when_token_expires(self):
        self.proxy.misbehave(proxy.status(401), when=writes)
        done = self.publish()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(2, len(self.keystone.issued))
        self.assertEqual(NEW, self.own())

    def test_publish_when_password_is_wrong(self):
        self.configure(password='battery-staple-horse')
        done = self.publish()
        self.assertEqual(FAILED, done.returncode)
        self.assertIn('username, password', done.stderr)
        self.assertEqual(OLD, self.own())

    def test_publish_when_keystone_is_ill(self):
        for status, expected in ((503, TRY_AGAIN), (404, FAILED)):
            self.keystone.refuse = status
            done = self.publish('--wait', '0')
            self.assertEqual(expected, done.returncode, done.stderr)
            self.assertIn('Keystone', done.stderr)
            self.assertIn(str(status), done.stderr)
        self.assertEqual(OLD, self.own())

    def test_publish_when_region_is_wrong(self):
        self.configure(region_name='Atlantis')
        done = self.publish()
        self.assertEqual(FAILED, done.returncode)
        self.assertIn('region_name', done.stderr)
        self.configure(
            region_name='Atlantis', endpoint_override=self.proxy.url
        )
        done = self.publish()
        self.assertEqual(0, done.returncode, done.stderr)

    def test_publish_when_placement_is_down(self):
        self.configure(endpoint_override='http://127.0.0.1:1')
        done = self.publish('--wait', '0')
        self.assertEqual(TRY_AGAIN, done.returncode)
        self.assertIn('127.0.0.1', done.stderr)
        self.assertNotIn('Traceback', done.stderr)

    def test_publish_when_provider_is_not_there(self):
        done = self.publish('--provider-name', 'other', '--wait', '0')
        self.assertEqual(TRY_AGAIN, done.returncode)
        self.assertIn("'other'", done.stderr)

    def test_publish_when_clouds_yaml_is_used(self):
        clouds = self.folder / 'clouds.yaml'
        auth = {
            'auth_url': self.keystone.url,
            'username': 'nova',
            'password': keystone.Keystone.PASSWORD,
            'project_name': 'service',
            'user_domain_name': 'Default',
            'project_domain_name': 'Default',
        }
        mine = {
            'auth': auth,
            'region_name': 'RegionOne',
            'interface': 'internal',
        }
        # JSON is YAML.
        clouds.write_text(json.dumps({'clouds': {'mine': mine}}))
        self.conf.write_text('')
        self.set_environment(
            OS_CLOUD='mine', OS_CLIENT_CONFIG_FILE=str(clouds)
        )
        done = self.publish()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(NEW, self.own())

    def test_publish_when_environment_is_used(self):
        self.conf.write_text('')
        self.set_environment(
            OS_AUTH_URL=self.keystone.url,
            OS_USERNAME='nova',
            OS_PASSWORD=keystone.Keystone.PASSWORD,
            OS_PROJECT_NAME='service',
            OS_USER_DOMAIN_NAME='Default',
            OS_PROJECT_DOMAIN_NAME='Default',
            OS_REGION_NAME='RegionOne',
            OS_INTERFACE='internal',
            HOME=str(self.folder),
        )
        done = self.publish()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(NEW, self.own())

    def test_publish_when_there_are_no_credentials(self):
        self.conf.write_text('')
        done = self.publish()
        self.assertEqual(FAILED, done.returncode)
        self.assertIn('nova.conf', done.stderr)

    def test_publish_when_configuration_is_missing(self):
        self.conf.unlink()
        done = self.publish()
        self.assertEqual(FAILED, done.returncode)
        self.assertIn(str(self.conf), done.stderr)
        self.assertNotIn('Traceback', done.stderr)

    def test_publish_when_finding_is_overruled(self):
        with self.conf.open('a') as file:
            file.write('[hvfilter]\noverrule = kvm=absent,ept=present\n')
        done = self.publish()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(OLD, self.own())
        for word in ('kvm', 'absent', str(self.conf), 'detected: present'):
            self.assertIn(word, done.stderr)


class SecretTest(CommandTestCase):
    SECRETS = (keystone.Keystone.PASSWORD, 'secret-token', 'battery-staple')

    def test_secrets_when_all_is_told(self):
        self.proxy.misbehave(proxy.status(401), when=writes)
        done = [self.run_command('--debug')]
        self.proxy.misbehave(proxy.status(403))
        done.append(self.run_command('--debug'))
        self.configure(password='battery-staple-horse')
        done.append(self.run_command('--debug'))
        self.configure(auth_url='http://u:battery-staple@127.0.0.1:1/v3')
        done.append(self.run_command('--debug'))
        self.assertEqual(0, done[0].returncode, done[0].stderr)
        self.assertIn('HTTP 403', done[1].stderr)
        self.assertIn('HTTP 401', done[2].stderr)
        self.assertIn('contains a user', done[3].stderr)
        for each in done:
            for secret in self.SECRETS:
                self.assertNotIn(secret, each.stdout + each.stderr)

    def test_secrets_when_processes_are_listed(self):
        for secret in self.SECRETS:
            self.assertNotIn(secret, ' '.join(self.arguments()))


class KillTest(CommandTestCase):
    """kill -9 in mid-publication."""

    def kill(self, misbehaviour, when):
        """Start it, and kill it when it waits for its answer."""
        self.proxy.misbehave(misbehaviour, when=when)
        process = subprocess.Popen(
            [sys.executable, '-m', COMMAND, *self.arguments()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertTrue(self.arrived.wait(60))
        process.send_signal(signal.SIGKILL)
        self.assertEqual(-signal.SIGKILL, process.wait())
        self.released.set()

    def setUp(self):
        super().setUp()
        self.arrived = threading.Event()
        self.released = threading.Event()
        self.addCleanup(self.released.set)
        logging.getLogger('urllib3').setLevel(logging.ERROR)

    def hold(self):
        self.arrived.set()
        self.released.wait()

    def test_kill_when_reading(self):
        self.kill(
            proxy.answer_late(self.hold),
            lambda request: request.path.endswith('/traits'),
        )
        self.assertEqual(OLD, self.own())

    def test_kill_when_write_was_not_served(self):
        self.kill(proxy.answer_late(self.hold, serve=False), writes)
        self.assertEqual(OLD, self.own())
        self.assertEqual(0, self.publish().returncode)
        self.assertEqual(NEW, self.own())

    def test_kill_when_write_was_served(self):
        self.kill(proxy.answer_late(self.hold), writes)
        self.assertEqual(NEW, self.own())
        done = self.publish()
        self.assertIn('nothing to change', done.stderr)
