# SPDX-License-Identifier: Apache-2.0

import json
import uuid as uuidlib

import testtools

from hvfilter.placement import uuids


def provider(number, **more):
    uuid = str(uuidlib.UUID(int=number))
    rest = ('', 'aggregates', 'inventories', 'usages', 'traits')
    return {
        'uuid': uuid,
        'name': f'host{number}',
        'generation': number,
        'root_provider_uuid': uuid,
        'parent_provider_uuid': None,
        'links': [
            {'rel': each or 'self', 'href': f'/resource_providers/{uuid}'}
            for each in rest
        ],
        **more,
    }


def body(listed, **more):
    return json.dumps({'resource_providers': listed}, **more).encode()


class UuidsTest(testtools.TestCase):
    def test_uuids_are_found(self):
        for count in (0, 1, 2_500):
            listed = [provider(number) for number in range(count)]
            expected = [each['uuid'] for each in listed]
            for form in ({}, {'separators': (',', ':')}, {'indent': 1}):
                found = uuids.extract(body(listed, **form))
                self.assertEqual(expected, found)

    def test_name_cannot_look_like_a_uuid(self):
        fake = uuidlib.UUID(int=77)
        name = f'x", "uuid": "{fake}", "generation": 5, "y": "'
        found = uuids.extract(body([provider(1, name=name)]))
        self.assertEqual([provider(1)['uuid']], found)

    def test_other_forms_are_left_to_the_parser(self):
        whole = body([provider(1), provider(2)])
        for text in (
            b'',
            b'{}',
            b'[]',
            b'null',
            b'{"resource_providers": 5}',
            whole[:-2],
            whole[:300] + b']}',
            whole[1:],
            body([provider(1, uuid=provider(10)['uuid'].upper() + 'A')]),
            body([provider(1, uuid=uuidlib.UUID(int=1).hex)]),
            body([{'uuid': provider(1)['uuid']}]),
            b'{"other": [], "resource_providers": []}',
        ):
            self.assertIsNone(uuids.extract(text), text)
