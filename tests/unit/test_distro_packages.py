# SPDX-License-Identifier: Apache-2.0
"""Debian and RPM packages hold all of the distribution, each part once.

They are built, installed and purged by tests.packages.
"""

import configparser
import fnmatch
import pathlib
import re
import shutil
import subprocess

import testtools

from hvfilter.conf import agent
from hvfilter.publish import left_over, state_directory

ROOT = pathlib.Path(__file__).parents[2]
DEBIAN = ROOT / 'packaging/debian'
SPEC = ROOT / 'packaging/rpm/hvfilter.spec'
MACROS = ROOT / 'tests/packages/rpm_macros'
BINARIES = ('python3-hvfilter', 'hvfilter-agent', 'hvfilter-doc')
UNITS = {
    path.name
    for path in (ROOT / 'etc/systemd').iterdir()
    if path.suffix in ('.service', '.timer')
}
PACKAGE_OF = {'pyyaml': 'python3-yaml'}
"""Debian's names that do not follow from those of Python."""


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / 'setup.cfg')
    return parser


def lines(text: str) -> list[str]:
    """Without comments and empty lines."""
    every = (line.partition('#')[0].strip() for line in text.splitlines())
    return [line for line in every if line]


def debian_names(requirements: str) -> set[str]:
    names = set()
    for line in lines(requirements):
        name = re.split(r'[<>=!\[]', line)[0].lower().replace('_', '-')
        plain = name.removeprefix('python-')
        names.add(PACKAGE_OF.get(plain, f'python3-{plain}'))
    return names


def stanzas() -> dict[str, dict[str, str]]:
    """The fields of debian/control, by package; the source is ''."""
    result = {}
    for text in (DEBIAN / 'control').read_text().split('\n\n'):
        fields = dict(
            re.findall(r'^([\w-]+):((?:.*\n?)(?:[ \t].*\n?)*)', text, re.M)
        )
        result[fields.get('Package', '').strip()] = fields
    return result


def packages(field: str) -> set[str]:
    """Names in a field, without versions, profiles and substitutions."""
    names = (re.split(r'[ (<]', part.strip())[0] for part in field.split(','))
    return {name for name in names if name and not name.startswith('$')}


def installed() -> dict[str, list[str]]:
    """The patterns of what each binary package takes."""
    found: dict[str, list[str]] = {}
    for name in BINARIES:
        patterns = found.setdefault(name, [])
        for kind in ('install', 'examples', 'manpages', 'docs'):
            path = DEBIAN / f'{name}.{kind}'
            if path.exists():
                patterns += (
                    line.split()[0] for line in lines(path.read_text())
                )
    return found


def takes(pattern: str, path: str) -> bool:
    return fnmatch.fnmatch(path, pattern) or path.startswith(f'{pattern}/')


def wheel_files() -> set[str]:
    """What an installation has beside modules, below its root."""
    parser = setup()
    scripts = parser['entry_points']['console_scripts']
    files = {f'usr/bin/{line.split()[0]}' for line in lines(scripts)}
    for line in lines(parser['files']['data_files']):
        folder, _, pattern = line.partition(' = ')
        for path in ROOT.glob(pattern):
            files.add(f'usr/{folder}/{path.name}')
    return files


class DebianTest(testtools.TestCase):
    def test_version_is_that_of_the_distribution(self) -> None:
        heading = (DEBIAN / 'changelog').read_text().split('\n')[0]
        version = setup()['metadata']['version']
        self.assertRegex(heading, rf'^hvfilter \({re.escape(version)}-\d+\)')

    def test_dependencies_are_the_requirements(self) -> None:
        wanted = debian_names((ROOT / 'requirements.txt').read_text())
        library = stanzas()['python3-hvfilter']
        self.assertEqual(wanted, packages(library['Depends']))
        built = packages(stanzas()['']['Build-Depends'])
        self.assertEqual(set(), wanted - built)

    def test_extras_are_suggested(self) -> None:
        extras = '\n'.join(setup()['extras'].values())
        suggested = packages(stanzas()['python3-hvfilter']['Suggests'])
        self.assertEqual(
            debian_names(extras),
            {name for name in suggested if name.startswith('python3-')},
        )

    def test_nova_is_no_dependency(self) -> None:
        for name, fields in stanzas().items():
            for field in ('Build-Depends', 'Depends', 'Recommends'):
                for other in packages(fields.get(field, '')):
                    self.assertNotIn('nova', other, f'{name}: {field}')

    def test_files_are_in_one_package(self) -> None:
        left_out = lines((DEBIAN / 'not-installed').read_text())
        taken = installed()
        for path in wheel_files():
            homes = [
                name
                for name, patterns in taken.items()
                if any(takes(pattern, path) for pattern in patterns)
            ]
            without = any(takes(pattern, path) for pattern in left_out)
            self.assertEqual(1, len(homes) + without, (path, homes, without))

    def test_man_pages_are_beside_their_commands(self) -> None:
        taken = installed()['python3-hvfilter']
        for path in (ROOT / 'doc/source/man').glob('*.rst'):
            self.assertIn(f'debian/man/{path.stem}.1', taken)

    def test_files_that_are_named_exist(self) -> None:
        for name, patterns in installed().items():
            for pattern in patterns:
                if not pattern.startswith(('usr/', 'debian/')):
                    self.assertTrue(list(ROOT.glob(pattern)), (name, pattern))

    def test_units_and_what_they_need_are_installed(self) -> None:
        rules = (DEBIAN / 'rules').read_text()
        listed = re.search(r'^UNITS = ((?:.*\\\n)*.*)', rules, re.M)
        self.assertEqual(UNITS, set(re.findall(r'[\w-]+\.\w+', listed[1])))
        for pattern in ('systemd/hvfilter.*', 'udev/*'):
            for path in (ROOT / 'etc').glob(pattern):
                self.assertIn(f'cp etc/{path.parent.name}/{path.name}', rules)
        name, _, ending = left_over.RULE.partition('.')
        priority, _, rest = name.partition('-')
        self.assertIn(f'--name={rest} --priority={priority}', rules)
        self.assertEqual('rules', ending)

    def test_unit_tests_are_there(self) -> None:
        rules = (DEBIAN / 'rules').read_text()
        parts = re.search(r'^TESTS = (.*)$', rules, re.M)[1]
        self.assertIn(f'for part in {parts}; do', SPEC.read_text())
        for part in parts.split():
            folder = ROOT / 'tests/unit' / part
            self.assertNotEqual([], list(folder.glob('test_*.py')), part)

    def test_timer_alone_is_started(self) -> None:
        rules = (DEBIAN / 'rules').read_text()
        started = [
            line.split()[-1]
            for line in re.findall(r'^\t\$\(AGENT\) (.*)$', rules, re.M)
            if '--no-start' not in line
        ]
        self.assertEqual([left_over.TIMER], started)

    def test_purge_removes_what_is_written_by_default(self) -> None:
        script = (DEBIAN / 'hvfilter-agent.postrm').read_text()
        options = {option.name: option for option in agent.OPTS}
        for name in ('provider_config_file', 'textfile'):
            self.assertIn(f'{options[name].default}', script)
        self.assertIn(f'rm -rf {state_directory.DEFAULT}\n', script)
        rules = (ROOT / 'etc/systemd/hvfilter.tmpfiles').read_text()
        for line in lines(rules):
            self.assertIn(line.split()[1], script.split('userdel')[0])

    def test_scripts_are_shell(self) -> None:
        scripts = [
            path
            for path in DEBIAN.iterdir()
            if path.suffix in ('.postinst', '.postrm', '.prerm')
        ]
        self.assertNotEqual([], scripts)
        for path in scripts:
            done = subprocess.run(
                ['sh', '-n', str(path)], capture_output=True, text=True
            )
            self.assertEqual('', done.stderr)

    def test_nova_is_as_new_as_the_filter_needs(self) -> None:
        requirements = (ROOT / 'functional-requirements.txt').read_text()
        [oldest] = re.findall(r'^nova>=(\d+)', requirements, re.M)
        suggested = stanzas()['python3-hvfilter']['Suggests']
        tested = (DEBIAN / 'tests/control').read_text()
        self.assertIn(f'nova-scheduler (>= 2:{oldest}~)', suggested)
        self.assertIn(f'python3-nova (>= 2:{oldest}~)', tested)

    def test_own_tests_can_run(self) -> None:
        control = (DEBIAN / 'tests/control').read_text()
        names = re.findall(r'^Tests: (.*)$', control, re.M)
        there = {path.name for path in (DEBIAN / 'tests').iterdir()}
        self.assertEqual(there - {'control'}, set(names))
        for name in names:
            mode = (DEBIAN / 'tests' / name).stat().st_mode
            self.assertEqual(0o111, mode & 0o111, name)


class RpmTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.spec = SPEC.read_text()

    def files(self) -> dict[str, str]:
        """The lists of files, by the name of the subpackage."""
        sections = re.split(r'^%files ', self.spec, flags=re.M)[1:]
        return {
            section.split('\n')[0]: section.split('%changelog')[0]
            for section in sections
        }

    def test_version_is_that_of_the_distribution(self) -> None:
        version = setup()['metadata']['version']
        self.assertRegex(self.spec, rf'(?m)^Version: +{version}$')
        newest = self.spec.split('%changelog\n')[1].split('\n')[0]
        self.assertRegex(newest, rf' - {re.escape(version)}-\d+$')

    def test_units_are_in_the_agent(self) -> None:
        units = re.findall(
            r'^%\{_unitdir\}/(\S+)$', self.files()['agent'], re.M
        )
        self.assertEqual(UNITS, set(units))
        listed = re.search(r'^%global units ((?:.*\\\n)*.*)', self.spec, re.M)
        self.assertEqual(
            UNITS, set(re.findall(r'[\w-]+\.(?:timer|service)', listed[1]))
        )

    def test_files_are_in_one_package(self) -> None:
        patterns = {
            name: [
                line.replace('%{_bindir}', 'usr/bin')
                .replace('%{_datadir}', 'usr/share')
                .replace('%{name}', 'hvfilter')
                for line in text.splitlines()
                if line.startswith('%{_')
            ]
            for name, text in self.files().items()
        }
        # Their places are others, see the units and the excerpt.
        elsewhere = ('usr/etc', 'usr/share/hvfilter/systemd')
        for path in wheel_files():
            homes = [
                name
                for name, every in patterns.items()
                if any(takes(pattern, path) for pattern in every)
            ]
            if not path.startswith((*elsewhere, 'usr/share/hvfilter/udev')):
                self.assertEqual(1, len(homes), (path, homes))
        self.assertIn('etc/hvfilter/nova.conf.excerpt', self.spec)
        for name in ('sysusers', 'tmpfiles'):
            self.assertIn(f'etc/systemd/%{{name}}.{name}', self.spec)

    def test_dependencies_are_left_to_the_metadata(self) -> None:
        required = re.findall(r'^Requires: +(.*)$', self.spec, re.M)
        self.assertEqual(['python3-%{name} = %{version}-%{release}'], required)

    @testtools.skipIf(shutil.which('rpmspec') is None, 'needs rpmspec')
    def test_spec_file_parses(self) -> None:
        done = subprocess.run(
            ['rpmspec', f'--load={MACROS}', '-P', str(SPEC)],
            capture_output=True,
            text=True,
        )
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        left = re.findall(r'(?<!%)%(?:\{[\w?!:-]+\}|py\w+)', done.stdout)
        self.assertEqual([], left)
