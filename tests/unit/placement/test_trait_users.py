# SPDX-License-Identifier: Apache-2.0

import urllib.parse

import testtools

from hvfilter.placement import errors, trait_users
from tests.fakes.transport import answer

NESTED = {'trait:CUSTOM_HVFILTER_NESTED': 'required'}
SAYS = ('trait:CUSTOM_HVFILTER_NESTED=required',)
OTHER = {'trait:CUSTOM_GOLD': 'required'}


class Cloud:
    """Nova and Glance: lists by path, a page for each item.

    :ivar refuse: paths to answer with such a status
    """

    def __init__(self):
        self.lists = {
            '/flavors/detail': [],
            '/servers/detail': [],
            '/os-aggregates': [],
            '/v2/images': [],
        }
        self.refuse = {}
        self.connected = []

    def connect(self, service):
        self.connected.append(service)
        return self

    def request(self, method, path, *, microversion, body=None):
        url = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path in self.refuse:
            return answer(self.refuse[url.path])
        listed = self.lists[url.path]
        if url.path == '/v2/images':
            hidden = query['os_hidden'] == 'true'
            listed = [
                each for each in listed if each.get('os_hidden') is hidden
            ]
        if url.path == '/servers/detail':
            assert query['all_tenants'] == '1'
        if url.path != '/os-aggregates':
            ids = [each['id'] for each in listed]
            start = ids.index(query['marker']) + 1 if 'marker' in query else 0
            listed = listed[start : start + 1]
        key = url.path.strip('/').split('/')
        name = {'v2': 'images', 'os-aggregates': 'aggregates'}.get(
            key[0], key[0]
        )
        return answer(value={name: listed})


class DemandsTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.cloud = Cloud()

    def look(self):
        return trait_users.find_users(self.cloud.connect)

    def test_demands_when_there_are_none(self):
        self.cloud.lists['/servers/detail'] = [
            {'id': 'a', 'name': 'a', 'flavor': {'extra_specs': OTHER}}
        ]
        self.cloud.lists['/v2/images'] = [
            {'id': 'i', 'name': 'i', 'os_hidden': False, **OTHER}
        ]
        self.cloud.lists['/os-aggregates'] = [{'name': 'x', 'metadata': OTHER}]
        self.assertEqual(trait_users.TraitUsers((), ()), self.look())

    def test_demands_when_everything_asks(self):
        self.cloud.lists = {
            '/flavors/detail': [
                {'id': 'f', 'name': 'm1', 'extra_specs': OTHER},
                {'id': 'g', 'name': 'm2', 'extra_specs': NESTED},
            ],
            '/servers/detail': [
                {'id': 'a', 'name': 'one', 'flavor': {'extra_specs': OTHER}},
                {'id': 'b', 'name': 'two', 'flavor': {'extra_specs': NESTED}},
            ],
            '/os-aggregates': [
                {'name': 'plain', 'metadata': {}},
                {'name': 'lab', 'metadata': NESTED},
                {'name': 'policy', 'metadata': {'hvfilter:mode': 'x'}},
            ],
            '/v2/images': [
                {'id': 'i', 'name': 'img', 'os_hidden': False, **NESTED},
                {'id': 'h', 'name': 'old', 'os_hidden': True, **NESTED},
            ],
        }
        found = self.look()
        self.assertEqual((), found.unchecked)
        self.assertEqual(
            [
                ('flavor m2', SAYS),
                ('server two (b)', SAYS),
                ('aggregate lab', SAYS),
                ('aggregate policy', ('hvfilter:mode=x',)),
                ('image img (i)', SAYS),
                ('image old (h)', SAYS),
            ],
            [(each.who, each.specs) for each in found.users],
        )
        self.assertEqual(
            'flavor m2: trait:CUSTOM_HVFILTER_NESTED=required',
            str(found.users[0]),
        )

    def test_demands_when_user_may_not_see_them(self):
        """As the role service: some is refused, some is left out."""
        self.cloud.refuse = {'/servers/detail': 403, '/os-aggregates': 403}
        self.cloud.lists['/flavors/detail'] = [{'id': 'f', 'name': 'm1'}]
        self.cloud.lists['/v2/images'] = [
            {'id': 'i', 'name': 'img', 'os_hidden': False, **NESTED}
        ]
        found = self.look()
        self.assertEqual(['image img (i)'], [each.who for each in found.users])
        told = ' '.join(map(str, found.unchecked))
        for word in ('flavors', 'servers', 'aggregates', 'Private', 'admin'):
            self.assertIn(word, told)

    def test_demands_when_servers_hide_their_flavor(self):
        for flavor in ({}, {'flavor': None}, {'flavor': {'vcpus': 1}}):
            self.cloud.lists['/servers/detail'] = [{'id': 'a', **flavor}]
            self.assertIn('servers', str(self.look().unchecked[0]))

    def test_demands_when_a_service_is_ill(self):
        self.cloud.refuse = {'/v2/images': 500}
        (error,) = self.look().unchecked
        self.assertIsInstance(error, errors.Rejected)
        self.assertIn('images', str(error))

    def test_demands_when_a_service_is_not_there(self):
        def connect(service):
            if service == 'image':
                raise errors.Misconfigured('no endpoint', 'add one')
            return self.cloud

        (error,) = trait_users.find_users(connect).unchecked
        self.assertEqual('no endpoint', error.what)
