# SPDX-License-Identifier: Apache-2.0

import errno
from pathlib import Path
from unittest import mock

import fixtures
import testtools

from hvfilter.publish import left_over

KVM = 'CUSTOM_HVFILTER_KVM'
GOOD = (
    'providers: [{{identification: {{{by}}}, '
    f'traits: {{{{additional: [{KVM}, CUSTOM_GOLD]}}}}}}}}]\n'
)
EVERY = GOOD.format(by='uuid: $COMPUTE_NODE')


class FilesTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)

    def files(self, **more):
        return left_over.config_files([self.folder, self.folder], **more)

    def write(self, text, name='a.yaml'):
        path = self.folder / name
        path.write_text(text)
        return path

    def test_files_when_one_names_our_traits(self):
        path = self.write(EVERY)
        self.write('providers: []\n', 'b.yaml')
        self.write(EVERY, 'c.yml')
        self.assertEqual(
            (left_over.ConfigFile(path, frozenset({KVM})),), self.files()
        )
        self.assertEqual((), self.files(apart_from=[path]))

    def test_files_when_one_is_about_another_host(self):
        path = self.write(GOOD.format(by='name: a.example'))
        self.write(GOOD.format(by='name: b.example'), 'b.yaml')
        self.write(GOOD.format(by='uuid: 1'), 'c.yaml')
        every = self.write(EVERY, 'd.yaml')
        found = self.files(may_identify=lambda name: name == 'a.example')
        self.assertEqual([path, every], [each.path for each in found])

    def test_files_when_one_is_hidden(self):
        self.write(EVERY, '.a.yaml')
        self.assertEqual((), self.files())

    def test_files_when_there_is_no_folder(self):
        self.assertEqual((), left_over.config_files([self.folder / 'none']))

    def test_files_when_nova_would_not_read_it(self):
        for text in (
            f'# {KVM}\n',
            f'a: [{KVM}',
            f'[{KVM}]',
            f'providers: {KVM}',
            f'providers: [{KVM}]',
            f'providers: [{{traits: {KVM}}}]',
            f'providers: [{{traits: {{additional: 1}}}}] # {KVM}',
            f'{KVM}: 2026-13-45',
            f'providers: [{{identification: {{name: {KVM}}}}}]',
            '[' * 5000 + KVM,
        ):
            self.write(text)
            self.assertEqual((), self.files(), text[:80])

    def test_files_when_one_cannot_be_read(self):
        path = self.folder / 'a.yaml'
        path.mkdir()
        (found,) = self.files()
        self.assertIn(str(path), found.unreadable)
        (note,) = left_over.notes([found])
        self.assertIn('not known', note)

    def test_files_when_folder_cannot_be_listed(self):
        closed = OSError(errno.EACCES, 'Permission denied')
        with mock.patch.object(Path, 'iterdir', side_effect=closed):
            (found,) = self.files()
        self.assertIn('Permission denied', found.unreadable)
        self.assertEqual(frozenset(), found.traits)


class TriggersTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.root = Path(self.useFixture(fixtures.TempDir()).path)

    def link(self, path, target='/usr/lib/systemd/system/x'):
        link = self.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)

    def triggers(self, *running):
        return left_over.triggers(self.root, lambda unit: unit in running)

    def test_triggers_when_there_are_none(self):
        self.assertEqual((), self.triggers())

    def test_triggers_when_units_are_enabled(self):
        wants = 'etc/systemd/system/timers.target.wants'
        self.link(f'{wants}/hvfilter-publish.timer')
        self.link(f'{wants}/other.timer')
        self.assertEqual(('hvfilter-publish.timer',), self.triggers())
        self.link(
            'run/systemd/system/multi-user.target.wants/'
            'hvfilter-provider-config.service'
        )
        self.assertEqual(
            ('hvfilter-publish.timer', 'hvfilter-provider-config.service'),
            self.triggers(),
        )
        self.link('etc/systemd/system/hvfilter-publish.service', '/dev/null')
        self.assertEqual(
            ('hvfilter-provider-config.service',), self.triggers()
        )
        self.link(
            'etc/systemd/system/hvfilter-provider-config.service', '/dev/null'
        )
        self.assertEqual((), self.triggers())

    def test_triggers_when_a_package_enabled_the_timer(self):
        for wants in ('timers.target.wants', 'multi-user.target.requires'):
            link = f'usr/lib/systemd/system/{wants}/hvfilter-publish.timer'
            self.link(link)
            self.assertEqual(('hvfilter-publish.timer',), self.triggers())
            (self.root / link).unlink()

    def test_triggers_when_the_timer_runs_but_is_not_enabled(self):
        timer = 'hvfilter-publish.timer'
        self.assertEqual((timer,), self.triggers(timer))
        # It starts nothing any more.
        self.link('etc/systemd/system/hvfilter-publish.service', '/dev/null')
        self.assertEqual((), self.triggers(timer))

    def test_triggers_when_udev_has_the_rule(self):
        rule = self.root / 'usr/lib/udev/rules.d/90-hvfilter.rules'
        rule.parent.mkdir(parents=True)
        rule.write_text('ACTION=="add"\n')
        self.assertEqual((str(rule),), self.triggers())
        self.link('etc/udev/rules.d/90-hvfilter.rules', '/dev/null')
        self.assertEqual((), self.triggers())


class RunningTest(testtools.TestCase):
    def running(self, script):
        folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.useFixture(fixtures.EnvironmentVariable('PATH', str(folder)))
        if script:
            path = folder / 'systemctl'
            path.write_text(f'#!/bin/sh\n{script}\n')
            path.chmod(0o755)
        return left_over.running('x.timer')

    def test_running_as_systemctl_says(self):
        asked = '[ "$*" = "is-active --quiet x.timer" ]'
        self.assertTrue(self.running(asked))
        self.assertFalse(self.running(f'! {asked}'))

    def test_running_when_there_is_no_systemd(self):
        self.assertFalse(self.running(''))

    def test_running_when_systemd_hangs(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.publish.left_over._SYSTEMCTL_S', 0.05
            )
        )
        self.assertFalse(self.running('exec /bin/sleep 5'))
