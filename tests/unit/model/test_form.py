# SPDX-License-Identifier: Apache-2.0

import enum

import testtools
from hypothesis import given
from hypothesis import strategies as st
from testtools.matchers import Contains

from hvfilter.model import form
from tests.strategies import JSON_VALUES


class Colour(enum.Enum):
    RED = 'red'
    BLUE = 'blue'


class TestParse(testtools.TestCase):
    def complaint(self, text):
        return str(self.assertRaises(form.DocumentError, form.parse, text))

    def test_place_is_told_when_text_is_not_json(self):
        self.assertThat(
            self.complaint('{"a": [1,\n 2'),
            Contains("not JSON: Expecting ',' delimiter at line 2, column"),
        )

    def test_byte_is_told_when_text_is_not_utf_8(self):
        self.assertEqual(
            'not JSON: not UTF-8 at byte 2', self.complaint(b'["\xff"]')
        )

    def test_name_is_told_when_a_member_comes_twice(self):
        self.assertEqual(
            'the member "a" is there twice',
            self.complaint('{"a": 1, "b": 2, "a": 3}'),
        )

    def test_refused_when_a_number_is_not_finite(self):
        self.assertEqual('NaN is no JSON number', self.complaint('[NaN]'))

    def test_refused_when_a_number_has_too_many_digits(self):
        self.assertThat(
            self.complaint('[' + '9' * 100_000 + ']'), Contains('not JSON')
        )

    def test_refused_when_nested_too_deeply(self):
        self.assertEqual('nested too deeply', self.complaint('[' * 200_000))

    def test_refused_when_too_large(self):
        class Huge(str):
            def __len__(self):
                return form.SIZE_LIMIT + 1

        self.assertEqual('larger than 16 MiB', self.complaint(Huge('[]')))

    @given(st.text() | st.binary())
    def test_nothing_else_is_raised_whatever_the_text(self, text):
        try:
            form.parse(text)
        except form.DocumentError:
            pass


class TestPart(testtools.TestCase):
    def complaint(self, part, method, *args):
        error = self.assertRaises(
            form.DocumentError, getattr(part, method), *args
        )
        return str(error)

    def test_path_names_the_place_when_deep(self):
        whole = form.parse('{"files": {"/proc/x": ["a", 5]}}')
        files = whole.members(('files',))['files'].entries()
        item = files['/proc/x'].items()[1]
        self.assertEqual(
            'files["/proc/x"][1]: must be a string, not 5',
            self.complaint(item, 'text'),
        )

    def test_known_members_are_told_when_one_is_unknown(self):
        part = form.JsonNode({'a': 1, 'colour': 2}, 'x')
        self.assertEqual(
            'x.colour: no such member; there are: a, b',
            self.complaint(part, 'members', ('a',), ('b',)),
        )

    def test_name_is_told_when_a_member_is_missing(self):
        self.assertEqual(
            'the member "a" is missing',
            self.complaint(form.JsonNode({}), 'members', ('a',)),
        )

    def test_choices_are_told_when_none_fits(self):
        self.assertEqual(
            'must be one of red, blue, not "green"',
            self.complaint(form.JsonNode('green'), 'choice', Colour),
        )

    def test_member_of_the_enumeration_when_one_fits(self):
        self.assertIs(Colour.BLUE, form.JsonNode('blue').choice(Colour))

    def test_refused_when_boolean_stands_for_a_number(self):
        self.assertEqual(
            'must be a whole number, not true',
            self.complaint(form.JsonNode(True), 'integer'),
        )

    def test_bounds_are_told_when_a_number_is_outside(self):
        self.assertEqual(
            'must be between 1 and 3',
            self.complaint(form.JsonNode(4), 'integer', 1, 3),
        )
        self.assertEqual(3, form.JsonNode(3).integer(1, 3))
        self.assertEqual(1, form.JsonNode(1).integer(1, 3))

    def test_refused_when_a_number_stands_for_a_boolean(self):
        self.assertEqual(
            'must be true or false, not 1',
            self.complaint(form.JsonNode(1), 'boolean'),
        )
        self.assertIs(True, form.JsonNode(True).boolean())

    def test_refused_when_object_and_array_are_confused(self):
        self.assertEqual(
            'must be an object, not an array',
            self.complaint(form.JsonNode([]), 'entries'),
        )
        self.assertEqual(
            'must be an array, not an object',
            self.complaint(form.JsonNode({}), 'items'),
        )
        self.assertEqual(
            'must be an array, not null',
            self.complaint(form.JsonNode(None), 'items'),
        )

    def test_value_is_shortened_when_long(self):
        told = self.complaint(form.JsonNode('x' * 1000), 'integer')
        self.assertTrue(told.endswith('...'), told)
        self.assertTrue(len(told) < 100, told)

    def test_wanted_schema_is_told_when_it_is_another(self):
        self.assertEqual(
            'schema: must be "a/1", not "a/2"',
            self.complaint(form.JsonNode({'schema': 'a/2'}), 'schema', 'a/1'),
        )
        self.assertEqual(
            'not a "a/1" document: "schema" is missing',
            self.complaint(form.JsonNode({}), 'schema', 'a/1'),
        )


class TestDumps(testtools.TestCase):
    def test_on_one_line_when_it_fits(self):
        self.assertEqual('{"a": [1, 2]}\n', form.dumps({'a': [1, 2]}))

    def test_one_item_a_line_when_it_does_not_fit(self):
        word = 'x' * 40
        self.assertEqual(
            f'{{\n  "a": [\n    "{word}",\n    "{word}"\n  ],\n'
            '  "b": {"c": []}\n}\n',
            form.dumps({'a': [word, word], 'b': {'c': []}}),
        )

    def test_no_line_is_longer_than_needed_when_written(self):
        value = {f'name{i}': [1, 2, {'x': 'y'}] for i in range(40)}
        for line in form.dumps(value).splitlines():
            self.assertTrue(len(line) <= form.WIDTH, line)

    @given(JSON_VALUES)
    def test_same_value_when_parsed_again(self, value):
        self.assertEqual(value, form.parse(form.dumps(value)).value)
