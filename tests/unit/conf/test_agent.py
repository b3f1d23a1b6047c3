# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

import fixtures
import testtools

from hvfilter.conf import agent, opts


class LoadTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def test_load_when_there_is_no_file(self):
        conf = agent.load([])
        self.assertEqual(['placement'], conf.hvfilter.publishers)
        self.assertEqual('/var/lib/nova', conf.state_path)

    def test_load_when_file_is_novas(self):
        path = self.write(
            'nova.conf',
            '[DEFAULT]\n'
            'compute_driver = libvirt.LibvirtDriver\n'
            'state_path = /srv/nova\n'
            'unheard_of = 1\n'
            '[placement]\n'
            'auth_type = password\n'
            '[libvirt]\n'
            'virt_type = kvm\n',
        )
        conf = agent.load([path])
        agent.register_placement(conf)
        self.assertEqual('/srv/nova', conf.state_path)
        self.assertEqual('libvirt.LibvirtDriver', conf.compute_driver)
        self.assertEqual('password', conf.placement.auth_type)
        self.assertEqual('placement', conf.placement.service_type)
        self.assertEqual(
            ['internal', 'public'], conf.placement.valid_interfaces
        )

    def test_load_when_files_contradict(self):
        first = self.write('1', '[hvfilter]\nprovider_name = a\n')
        second = self.write('2', '[hvfilter]\nprovider_name = b\n')
        conf = agent.load([first, second])
        self.assertEqual('b', conf.hvfilter.provider_name)

    def test_load_when_file_is_not_usable(self):
        for path in (
            str(self.folder / 'missing'),
            self.write('broken', 'no section\n[\n'),
        ):
            error = self.assertRaises(agent.Unreadable, agent.load, [path])
            self.assertIn(path, str(error))

    def test_load_when_value_is_wrong(self):
        path = self.write('x', '[hvfilter]\npublish_deadline_s = long\n')
        conf = agent.load([path])
        self.assertRaises(ValueError, lambda: conf.hvfilter.publish_deadline_s)


class OptsTest(testtools.TestCase):
    def test_opts_when_listed(self):
        listed = opts.list_agent_opts()
        names = {
            (group.name, opt.dest) for group, each in listed for opt in each
        }
        self.assertIn(('hvfilter', 'publishers'), names)
        self.assertIn(('placement', 'auth_url'), names)
        for group, each in listed:
            for opt in each:
                if group is agent.GROUP:
                    self.assertTrue(opt.help, opt.name)
