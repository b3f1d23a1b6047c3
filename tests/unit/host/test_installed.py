# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.host import installed
from hvfilter.host.base import Denied

PACKAGES = '/usr/lib/python3/dist-packages'
VENV = '/openstack/venvs'
STATUS = """\
Package: python3-novaclient
Status: install ok installed
Version: 2:18.7.0-1

Package: python3-nova
Status: {}
Version: 2:29.2.0-0ubuntu1

Package: python3-zun
Status: install ok installed
Version: 9.0.0
"""


class TestVersions(testtools.TestCase):
    def versions(self, folders, status='', errors=()):
        errors = dict(errors)

        def listdir(path):
            if path not in folders:
                raise Denied(f'list {path}', errors.get(path, 'ENOENT'))
            return folders[path]

        def read(path):
            if path in errors or not status:
                raise Denied(f'read {path}', errors.get(path, 'ENOENT'))
            return status.encode()

        return installed.versions('nova', listdir, read)

    def test_name_of_the_metadata(self):
        for name, version in (
            ('nova-34.0.0.dist-info', '34.0.0'),
            ('nova-27.5.1.egg-info', '27.5.1'),
            ('nova-29.2.0-py3.9.egg-info', '29.2.0'),
        ):
            names = ('nova', 'nova_fake-1.0.dist-info', name)
            self.assertEqual((version,), self.versions({PACKAGES: names}))

    def test_each_once_when_there_are_several(self):
        place = f'{VENV}/nova-31.0.0/lib/python3.12/site-packages'
        folders = {
            PACKAGES: ('nova-34.0.0.dist-info',),
            '/openstack/venvs': ('nova-31.0.0', 'glance-31.0.0'),
            f'{VENV}/nova-31.0.0/lib': ('python3.12', 'python2.7'),
            place: ('nova-31.0.0.dist-info',),
        }
        self.assertEqual(('31.0.0', '34.0.0'), self.versions(folders))

    def test_dpkg_when_there_is_no_metadata(self):
        status = STATUS.format('install ok installed')
        self.assertEqual(('29.2.0',), self.versions({}, status))
        self.assertEqual(('29.2.0',), self.versions({PACKAGES: ()}, status))

    def test_none_when_dpkg_has_it_no_longer(self):
        for status in (STATUS.format('deinstall ok config-files'), 'x', ''):
            denied = self.assertRaises(Denied, self.versions, {}, status)
            self.assertEqual('ENOENT', denied.error)

    def test_refused_when_a_place_may_not_be_looked_at(self):
        for path in (PACKAGES, installed.DPKG_STATUS):
            errors = {path: 'EACCES'}
            denied = self.assertRaises(
                Denied, self.versions, {}, errors=errors
            )
            self.assertEqual('EACCES', denied.error)
