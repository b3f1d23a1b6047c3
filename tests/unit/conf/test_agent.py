# SPDX-License-Identifier: Apache-2.0

import os
import socket
from pathlib import Path

import fixtures
import testtools
from keystoneauth1 import loading
from oslo_utils import netutils

from hvfilter.conf import agent, opts
from hvfilter.model.problem import Problem


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
            error = self.assertRaises(Problem, agent.load, [path])
            self.assertIn(path, str(error))

    def test_load_when_a_line_is_malformed(self):
        """A line may hold a password: it is not quoted."""
        for text in (
            '[placement]\n password = SECRET\n',
            '[placement]\npassword SECRET\n',
            'password = SECRET\n',
            '[placement\npassword = SECRET\n',
        ):
            path = self.write('x', text)
            error = self.assertRaises(Problem, agent.load, [path])
            self.assertNotIn('SECRET', str(error))
            self.assertIn(f'{path}, line ', str(error))
        path = self.folder / 'y'
        path.write_bytes(b'[placement]\n# \xff SECRET\n')
        error = self.assertRaises(Problem, agent.load, [str(path)])
        self.assertIn('UTF-8', str(error))

    def test_load_when_a_file_is_a_pipe_or_a_device(self):
        (self.folder / 'd').mkdir()
        pipe = self.folder / 'd' / 'x.conf'
        os.mkfifo(pipe)
        for files, directories in (
            ([str(pipe)], []),
            (['/dev/zero'], []),
            ([str(self.folder)], []),
            ([], [str(self.folder / 'd')]),
        ):
            error = self.assertRaises(Problem, agent.load, files, directories)
            self.assertIn('is not a regular file', str(error))
        agent.load([os.devnull])

    def test_load_when_a_value_is_wrong(self):
        for option, value in (
            ('publish_deadline_s', 'long'),
            ('publish_deadline_s', 'nan'),
            ('publish_deadline_s', 'inf'),
            ('publish_deadline_s', '-1'),
            ('placement_timeout_s', 'nan'),
            ('placement_timeout_s', '0'),
            ('publish_conflict_retries', '-1'),
            ('publish_conflict_retries', 'nan'),
            ('textfile_mode', '999'),
            ('provider_config_mode', 'rw'),
        ):
            path = self.write('x', f'[hvfilter]\n{option} = {value}\n')
            error = self.assertRaises(Problem, agent.load, [path])
            self.assertIn(f'[hvfilter] {option} in {path}', str(error))

    def test_load_when_a_directory_is_given(self):
        (self.folder / 'conf.d').mkdir()
        self.write('conf.d/1.conf', '[hvfilter]\nprovider_name = a\n')
        self.write('conf.d/2.txt', '[hvfilter]\nprovider_name = b\n')
        conf = agent.load([], [str(self.folder / 'conf.d')])
        self.assertEqual('a', conf.hvfilter.provider_name)


class PlacementOptionsTest(LoadTest):
    def load(self, text):
        conf = agent.load([self.write('nova.conf', text)])
        agent.register_placement(conf)
        return conf

    def test_references_when_novas_options_are_meant(self):
        conf = self.load(
            '[DEFAULT]\nmy_ip = 192.0.2.1\nport = $other.port\n'
            '[Other]\nport = 5000\n'
            '[placement]\n'
            'endpoint_override = http://$my_ip:${port}/\n'
            'region_name = ${placement.service_name}-$service_name-\\$x-$$y\n'
            'service_name = z\n'
        )
        self.assertEqual(
            'http://192.0.2.1:5000/', conf.placement.endpoint_override
        )
        self.assertEqual('z-z-$x-$y', conf.placement.region_name)

    def test_references_when_another_section_sets_the_same_option(self):
        conf = self.load(
            '[other]\nregion_name = there\n'
            '[placement]\nservice_name = $other.region_name\n'
            'region_name = here-${other.region_name}\n'
        )
        self.assertEqual('there', conf.placement.service_name)
        self.assertEqual('here-there', conf.placement.region_name)

    def test_references_when_they_have_novas_defaults(self):
        conf = self.load(
            '[placement]\nendpoint_override = $my_ip $host $state_path\n'
            'region_name = $my_block_storage_ip\n'
        )
        self.assertEqual(
            f'{netutils.get_my_ipv4()} {socket.gethostname()} /var/lib/nova',
            conf.placement.endpoint_override,
        )
        self.assertEqual(netutils.get_my_ipv4(), conf.placement.region_name)

    def test_references_when_nobody_sets_the_option(self):
        for name in ('nowhere', 'other.nowhere', 'DEFAULT.nowhere'):
            error = self.assertRaises(
                Problem,
                self.load,
                f'[placement]\nregion_name = ${name}\n',
            )
            self.assertIn(f'[placement] refers to ${name}', str(error))

    def test_references_when_they_run_in_a_circle(self):
        self.load(
            '[DEFAULT]\na = $b\nb = $a\n[other]\nc = $nowhere\n'
            '[placement]\nauth_url = $a\n'
        )

    def test_auth_section_when_it_names_another(self):
        conf = self.load(
            '[DEFAULT]\nmy_ip = 192.0.2.1\n'
            '[placement]\nauth_section = service_user\n'
            '[service_user]\nauth_type = password\n'
            'auth_url = http://$my_ip/v3\nusername = u\npassword = p\n'
            'system_scope = all\n'
        )
        auth = loading.load_auth_from_conf_options(conf, 'placement')
        self.assertEqual('http://192.0.2.1/v3', auth.auth_url)
        self.assertEqual('all', conf.service_user.system_scope)


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


class ProviderConfigLocationTest(testtools.TestCase):
    def location(self, text):
        folder = Path(self.useFixture(fixtures.TempDir()).path)
        path = folder / 'nova.conf'
        path.write_text(text)
        return agent.provider_config_location(agent.load([str(path)]))

    def test_location_when_configured(self):
        for value, expected in (
            ('/srv/yaml', '/srv/yaml'),
            ('$state_path/yaml', '/var/lib/nova/yaml'),
            ('$pybasedir/yaml', '/etc/nova/provider_config/'),
        ):
            text = f'[compute]\nprovider_config_location = {value}\n'
            self.assertEqual(expected, self.location(text))
        self.assertEqual('/etc/nova/provider_config/', self.location(''))
