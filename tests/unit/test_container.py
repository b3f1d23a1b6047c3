# SPDX-License-Identifier: Apache-2.0
"""The Containerfile agrees with setup.cfg and with the documentation."""

import configparser
import pathlib
import re

import testtools

ROOT = pathlib.Path(__file__).parents[2]
CONTAINERFILE = (ROOT / 'packaging/container/Containerfile').read_text()
GUIDE = (ROOT / 'doc/source/deployment_tools.rst').read_text()


class ContainerTest(testtools.TestCase):
    def test_extras_exist(self) -> None:
        setup = configparser.ConfigParser()
        setup.read(ROOT / 'setup.cfg')
        [extras] = re.findall(r'WHEEL\}\[([\w,]+)\]', CONTAINERFILE)
        self.assertEqual(set(), set(extras.split(',')) - set(setup['extras']))

    def test_user_is_not_root(self) -> None:
        [user] = re.findall(r'^USER (\d+):\d+$', CONTAINERFILE, re.MULTILINE)
        self.assertNotEqual(0, int(user))
        self.assertIn(f'--uid {user} ', CONTAINERFILE)

    def test_named_folders_are_in_the_documented_command(self) -> None:
        head = CONTAINERFILE.partition('ARG BASE')[0]
        named = set(re.findall(r'^#     (/[\w/]+)', head, re.MULTILINE))
        command = re.search(r'podman run (?:.*\\\n)*.*\n', GUIDE)[0]
        mounted = set(re.findall(r'--volume=\S+?:([\w/.]+)', command))
        mounted |= set(re.findall(r'--device=(\S+)', command))
        # A runtime has this one without being asked.
        self.assertEqual(set(), named - mounted - {'/sys'})

    def test_build_gets_the_wheel_alone(self) -> None:
        self.assertEqual(
            ['*', '!dist/*.whl'],
            (ROOT / '.containerignore').read_text().split(),
        )
