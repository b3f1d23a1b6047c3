# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.publish import bounded_yaml


class TestLoad(testtools.TestCase):
    def refused(self, text):
        error = self.assertRaises(
            bounded_yaml.NotYaml, bounded_yaml.load, text.encode()
        )
        self.assertNotIn('secret', str(error))

    def test_value_when_it_is_yaml(self):
        self.assertEqual({'a': [1]}, bounded_yaml.load(b'a: [1]'))
        merged = bounded_yaml.load(
            b'a: &a {x: 1}\nb: &b {y: 2}\nc: {<<: [*a, *b], z: 3}\nd: {<<: *a}'
        )
        self.assertEqual({'x': 1, 'y': 2, 'z': 3}, merged['c'])
        self.assertEqual({'x': 1}, merged['d'])

    def test_refused_when_it_is_none(self):
        for text in (
            'password: secret: x',
            'secret: 2026-13-01',
            'secret: {<<: [1]}',
            'secret: {<<: 1}',
            '[' * 5000,
            '!!python/object/apply:os.system [secret]',
            '#' * (bounded_yaml.LIMIT + 1),
        ):
            self.refused(text)

    def test_refused_when_it_would_grow(self):
        keys = ', '.join(f'k{n}: 1' for n in range(1000))
        many = ', '.join(['*a'] * 11)
        self.refused(f'a: &a {{{keys}}}\nb: {{<<: [{many}]}}')

    def test_not_copied_when_there_are_only_aliases(self):
        lines = ['a0: &a0 x'] + [
            f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]'
            for n in range(1, 30)
        ]
        self.assertEqual(30, len(bounded_yaml.load('\n'.join(lines).encode())))
