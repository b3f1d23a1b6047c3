# SPDX-License-Identifier: Apache-2.0
"""Our light reader beside oslo.config itself, over many random files."""

import pathlib
import random
import tempfile

import testtools
from oslo_config import cfg

from hvfilter.host.live import LiveHost
from hvfilter.probes import nova_options
from hvfilter.probes.context import ProbeContext

CASES = 2_000
SEED = 20261126

VALUES = (
    'kvm',
    'qemu',
    ' kvm ',
    '"kvm"',
    "'qemu'",
    '"kvm',
    '"',
    '',
    'a=b:c',
    'a,b',
    ' a , ,b,',
    ',a',
    'a, ',
    '# kvm',
    'kvm # no comment',
    'kvm ; no comment',
    'käse',
    'x\ty',
)
LINES = (
    '[libvirt]',
    '[LibVirt]',
    '[libvirt] ',
    '[DEFAULT]',
    '[default]',
    '[other]',
    '# comment',
    '#virt_type = lxc',
    '; comment = x',
    '  continued',
    '\tcontinued = 2,',
    '  # continued',
    '',
    '   ',
    '\x0c',
    'other = 1',
    'virt-type = qemu',
    'VIRT_TYPE = qemu',
)
# Each makes oslo.config refuse the file.
BROKEN = ('\ufeff[libvirt]', '[libvirt', '[]', 'nonsense', '= x', '[a]b')
OPTIONS = tuple(
    (section, name)
    for section, names in nova_options.WANTED.items()
    for name in names
)


def conf():
    """oslo.config with the wanted options, as Nova declares their kinds."""
    made = cfg.ConfigOpts()
    for section, name in OPTIONS:
        if name in nova_options.DEPRECATED:
            continue
        lists = name in ('cpu_models', 'cpu_model_extra_flags')
        old = [
            cfg.DeprecatedOpt(before, group=section)
            for before, now in nova_options.DEPRECATED.items()
            if now == name
        ]
        kind = cfg.ListOpt if lists else cfg.StrOpt
        made.register_opt(kind(name, deprecated_opts=old), section)
    return made


def text(rand):
    """A random file."""
    lines = ['[libvirt]'] if rand.random() < 0.9 else []
    for _ in range(rand.randrange(14)):
        if rand.random() < 0.5:
            _, name = rand.choice(OPTIONS)
            parted = rand.choice((' = ', '=', ':', ' : '))
            lines.append(f'{name}{parted}{rand.choice(VALUES)}')
        else:
            lines.append(rand.choice(LINES))
    if rand.random() < 0.1:
        lines.insert(rand.randrange(len(lines) + 1), rand.choice(BROKEN))
    end = rand.choice(('\n', '\n', '\r\n', '\r'))
    return end.join(lines) + rand.choice(('', end))


def theirs(files, folder):
    """What oslo.config makes of it; None where it refuses a file."""
    read = conf()
    try:
        read(
            [],
            project='nova',
            default_config_files=files,
            default_config_dirs=[folder],
        )
    except (cfg.ConfigFileParseError, UnicodeDecodeError):
        return None
    return {
        name: read[section][name]
        for section, name in OPTIONS
        if name not in nova_options.DEPRECATED
    }


def ours(files, folder):
    """The same in the same form."""
    read = nova_options.read(
        ProbeContext(LiveHost(smoke=False), (*files, folder))
    )
    if read.refused:
        return None
    found = {}
    for _, name in OPTIONS:
        if name in nova_options.DEPRECATED:
            continue
        value = read.values.get(name)
        if name in ('cpu_models', 'cpu_model_extra_flags') and value:
            value = list(nova_options.as_list(value))
        found[name] = value
    return found


class TestBesideOslo(testtools.TestCase):
    def test_same_values_or_both_refuse_over_random_files(self):
        rand = random.Random(SEED)
        refused = 0
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            folder = root / 'conf.d'
            folder.mkdir()
            for number in range(CASES):
                files = []
                for place in range(rand.randrange(1, 3)):
                    path = root / f'{place}.conf'
                    path.write_bytes(self.content(rand))
                    files.append(str(path))
                (folder / 'x.conf').write_bytes(self.content(rand))
                expected = theirs(files, str(folder))
                refused += expected is None
                # An empty list and one that is not set are the same to Nova.
                self.assertEqual(
                    _plain(expected), _plain(ours(files, str(folder))), number
                )
        self.assertGreater(refused, CASES // 20)
        self.assertGreater(CASES - refused, CASES // 4)

    def content(self, rand):
        data = text(rand).encode()
        return data + b'# \xff\n' if rand.random() < 0.02 else data


def _plain(values):
    if values is None:
        return None
    return {name: value or None for name, value in values.items()}
