# SPDX-License-Identifier: Apache-2.0

import io
import tempfile

import testtools
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg, iniparser

from hvfilter.host import ini
from hvfilter.host.base import Denied

NOVA = """\
[DEFAULT]
transport_url = rabbit://nova:secret@controller
[libvirt]
# virt_type = lxc
virt_type = kvm
cpu_models: Haswell,
  Broadwell
cpu_model_extra_flags = "vmx"

[Compute]
provider_config_location=/etc/nova/provider_config
"""

LINES = st.lists(
    st.sampled_from(
        [
            '[libvirt]',
            '[LibVirt]',
            '[DEFAULT]',
            '[default]',
            'virt_type = kvm',
            'virt_type: qemu',
            'virt_type=a=b:c',
            'virt_type=',
            'virt_type = "kvm"',
            "virt_type = '",
            'other=1',
            '  continued',
            '\tcontinued = 2',
            '# comment',
            '; comment',
            '',
            '   ',
        ]
    ),
    max_size=12,
)

WANTED = {'libvirt': ('virt_type',), 'DEFAULT': ('virt_type',)}


class _Reference(iniparser.BaseParser):
    """What oslo.config makes of a file."""

    def __init__(self):
        self.section = None
        self.found = {}

    def new_section(self, section):
        self.section = section if section == 'DEFAULT' else section.lower()

    def assignment(self, key, value):
        if self.section is None:
            raise iniparser.ParseError('no section', self.lineno, key)
        if key in WANTED.get(self.section, ()):
            options = self.found.setdefault(self.section, {})
            options[key] = (*options.get(key, ()), '\n'.join(value))


def _ours(text):
    try:
        return ini.wanted_options(text, WANTED)
    except ini.MalformedFile:
        return None


class IniTest(testtools.TestCase):
    def test_only_wanted_options_when_the_file_holds_secrets(self):
        found = ini.wanted_options(
            NOVA,
            {
                'libvirt': ('virt_type', 'cpu_models', 'cpu_mode'),
                'compute': ('provider_config_location',),
            },
        )
        self.assertEqual(
            {
                'libvirt': {
                    'virt_type': ('kvm',),
                    'cpu_models': ('Haswell,\nBroadwell',),
                },
                'compute': {
                    'provider_config_location': ('/etc/nova/provider_config',)
                },
            },
            found,
        )

    def test_all_values_when_an_option_is_repeated(self):
        found = ini.wanted_options(
            '[libvirt]\nvirt_type=kvm\n[x]\n[libvirt]\nvirt_type=qemu\n',
            WANTED,
        )
        self.assertEqual({'libvirt': {'virt_type': ('kvm', 'qemu')}}, found)

    def test_refused_with_the_line_when_a_line_is_broken(self):
        for text, line, problem in (
            ('[libvirt]\n\n  password = X\n', 3, 'no option to continue'),
            ('[libvirt\nvirt_type=X\n', 1, 'must end with'),
            ('[libvirt]\na=1\n[]\n', 3, 'without a name'),
            ('[libvirt]\npassword X\n', 2, 'neither'),
            ('[libvirt]\n= X\n', 2, 'without a name'),
            ('password = X\n[libvirt]\n', 1, 'before the first section'),
            ('\ufeff[libvirt]\npassword = X\n', 1, 'neither'),
        ):
            error = self.assertRaises(
                ini.MalformedFile, ini.wanted_options, text, WANTED
            )
            self.assertEqual(line, error.line, text)
            self.assertIn(problem, str(error))
            self.assertNotIn('X', str(error))

    def test_denied_with_the_line_when_it_is_not_text(self):
        data = b'[libvirt]\nvirt_type = kvm\n# \xff\n'
        denied = self.assertRaises(
            Denied, ini.options, '/etc/nova/nova.conf', data, WANTED
        )
        self.assertEqual(ini.MALFORMED, denied.error)
        self.assertIn('/etc/nova/nova.conf', str(denied))
        self.assertIn('line 3: not valid UTF-8', str(denied))

    def test_quotes_taken_off_when_they_enclose_the_value(self):
        found = ini.wanted_options('[DEFAULT]\nvirt_type="a b"\r\n', WANTED)
        self.assertEqual({'DEFAULT': {'virt_type': ('a b',)}}, found)

    @given(LINES, st.sampled_from(['\n', '\r\n', '\r']))
    def test_same_as_oslo_config_when_that_accepts_the_file(self, lines, end):
        text = end.join(lines)
        reference = _Reference()
        try:
            reference.parse(io.StringIO(text, newline=None))
        except iniparser.ParseError:
            reference.found = None
        self.assertEqual(reference.found, _ours(text))

    @given(st.text())
    def test_a_clear_refusal_at_most_when_given_anything(self, text):
        _ours(text)

    def test_last_value_wins_in_oslo_config_as_we_assume(self):
        with tempfile.NamedTemporaryFile('w', suffix='.conf') as file:
            file.write('[LIBVIRT]\nvirt_type=kvm\nvirt_type=qemu\n')
            file.flush()
            conf = cfg.ConfigOpts()
            conf.register_opt(cfg.StrOpt('virt_type'), 'libvirt')
            conf([], default_config_files=[file.name])
            self.assertEqual('qemu', conf.libvirt.virt_type)
