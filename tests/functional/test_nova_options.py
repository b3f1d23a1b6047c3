# SPDX-License-Identifier: Apache-2.0
"""Our reading of nova.conf beside Nova's own."""

import pathlib
import tempfile

import testtools
from hypothesis import given
from hypothesis import strategies as st
from nova.conf import compute as compute_options
from nova.conf import libvirt as libvirt_options
from nova.virt.libvirt import driver
from oslo_config import cfg

import tests.properties  # noqa: F401
from hvfilter.host.live import LiveHost
from hvfilter.probes import nova_options
from hvfilter.probes.context import ProbeContext

VALUES = {
    'virt_type': ['kvm', 'qemu', 'lxc', 'KVM', ' kvm ', '"kvm"', 'xen', ''],
    'cpu_mode': ['host-model', 'custom', 'none', 'Custom', '', 'host-passth'],
    'cpu_models': ['Haswell', 'EPYC, Haswell', ',a', 'a,,b,', '', ' , '],
    'cpu_model': ['Nehalem', 'a,b', ''],
    'cpu_model_extra_flags': [
        'vmx',
        '+VMX, -svm',
        '-vmx,pcid',
        '--vmx',
        '++svm,,-hle,',
        '-vmx, vmx',
        '',
    ],
}
LINES = st.one_of(
    st.sampled_from(sorted(VALUES)).flatmap(
        lambda name: st.builds(
            '{}{}{}'.format,
            st.just(name),
            st.sampled_from([' = ', '=', ' : ']),
            st.sampled_from(VALUES[name]),
        )
    ),
    st.sampled_from(
        [
            '',
            '# virt_type = qemu',
            '; cpu_mode = none',
            '  vmx',
            '[DEFAULT]',
            '[libvirt]',
            '[Libvirt]',
            '[other]',
            'compute_driver = libvirt.LibvirtDriver',
            'compute_driver = fake.FakeDriver',
            'password = secret',
        ]
    ),
)
FILES = st.lists(
    st.lists(LINES, max_size=12).map(
        lambda lines: '\n'.join(['[libvirt]', *lines, ''])
    ),
    min_size=1,
    max_size=3,
)

VIRT_TYPES = frozenset({'kvm', 'lxc', 'qemu', 'parallels'})
"""What Nova accepts."""


def read_by_nova(files, folder):
    """Nova's options; None where oslo.config cannot parse a file."""
    conf = cfg.ConfigOpts()
    libvirt_options.register_opts(conf)
    compute_options.register_opts(conf)
    try:
        conf(
            [],
            project='nova',
            default_config_files=files,
            default_config_dirs=[folder],
        )
    except cfg.ConfigFileParseError:
        return None
    return conf


def value_of(group, name):
    """The value, or ValueError where Nova refuses it."""
    try:
        return group[name]
    except (cfg.ConfigFileValueError, ValueError):
        return ValueError


class TestNovaOptions(testtools.TestCase):
    @given(FILES)
    def test_values_when_nova_reads_the_same_files(self, contents):
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            folder = root / 'nova.conf.d'
            folder.mkdir()
            files = []
            for number, text in enumerate(contents):
                path = (
                    folder / f'{number}.conf'
                    if number == 2
                    else root / f'{number}.conf'
                )
                path.write_text(text)
                if number < 2:
                    files.append(str(path))
            (folder / '.hidden.conf').write_text('[libvirt]\nvirt_type=lxc\n')
            theirs = read_by_nova(files, str(folder))
            look = ProbeContext(LiveHost(smoke=False), (*files, str(folder)))
            ours = nova_options.read(look)
            self.assertEqual(theirs is None, bool(ours.refused))
            if theirs is not None:
                self.compare(ours, theirs)

    def compare(self, ours, theirs):
        virt_type = value_of(theirs.libvirt, 'virt_type')
        self.assertEqual(
            virt_type,
            ours.virt_type if ours.virt_type in VIRT_TYPES else ValueError,
        )
        cpu_mode = value_of(theirs.libvirt, 'cpu_mode')
        self.assertEqual(
            cpu_mode,
            ours.cpu_mode
            if ours.cpu_mode in (None, *nova_options.CPU_MODES)
            else ValueError,
        )
        self.assertEqual(theirs.libvirt.cpu_models, list(ours.cpu_models))
        self.assertEqual(
            [flag.lower() for flag in theirs.libvirt.cpu_model_extra_flags],
            list(ours.extra_flags),
        )
        self.assertEqual(theirs.compute_driver or '', ours.compute_driver)

    @given(st.sampled_from(VALUES['cpu_model_extra_flags']))
    def test_flags_when_nova_prepares_them(self, text):
        """What Nova would tell libvirt of a feature is what we expect."""
        options = nova_options.NovaOptions(
            {'cpu_model_extra_flags': text}, (), ()
        )
        policies = {}
        for flag in options.extra_flags:
            feature = driver.LibvirtDriver._prepare_cpu_flag(None, flag)
            policies.setdefault(feature.name, set()).add(feature.policy)
        for feature in ('vmx', 'svm', 'pcid'):
            switched = options.switched(feature)
            found = policies.get(feature, set())
            if len(found) < 2:
                expected = {
                    (): None,
                    ('disable',): False,
                    ('require',): True,
                }[tuple(found)]
                self.assertIs(expected, switched, (text, feature))
            else:
                # Nova takes whichever its set yields first.
                self.assertIs(False, switched)

    def test_defaults_when_nova_changes_them(self):
        """The defaults that hold where nothing is set."""
        theirs = read_by_nova([], tempfile.gettempdir() + '/missing')
        ours = nova_options.NovaOptions({}, (), ())
        self.compare(ours, theirs)
        if 'num_memory_encrypted_guests' in theirs.libvirt:
            # Not any more from 34 on.
            self.assertIsNone(theirs.libvirt.num_memory_encrypted_guests)

    def test_choices_when_nova_changes_them(self):
        conf = read_by_nova([], tempfile.gettempdir() + '/missing')
        for name, ours in (
            ('virt_type', VIRT_TYPES),
            ('cpu_mode', nova_options.CPU_MODES),
        ):
            option = conf._groups['libvirt']._opts[name]['opt']
            self.assertEqual(ours, set(option.type.choices))
