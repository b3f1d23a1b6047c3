# SPDX-License-Identifier: Apache-2.0

import string

import testtools

from hvfilter.probes import parameter_remedy, remedies
from hvfilter.probes.machine_kind import Kind, kind
from hvfilter.probes.parameter_remedy import set_parameter
from hvfilter.probes.remedies import NONE, Remedy
from tests.unit.probes.base import EACCES, look_at

ONE = Remedy('one', 'do {what}', 'a cause')
TWO = Remedy('two', 'do more', 'another cause')


class TestAdvice(testtools.TestCase):
    def test_text_and_key(self):
        advice = ONE(what='this')
        self.assertEqual('do this', advice)
        self.assertEqual(('one',), advice.keys)
        self.assertEqual('', NONE)
        self.assertEqual((), NONE.keys)

    def test_several_in_order(self):
        advice = remedies.first(ONE(what='this'), NONE, TWO())
        self.assertEqual('do this; if that does not help: do more', advice)
        self.assertEqual(('one', 'two'), advice.keys)
        self.assertEqual('', remedies.first())

    def test_braces_of_a_host_are_only_text(self):
        self.assertEqual('do {x}', ONE(what='{x}'))


class TestTable(testtools.TestCase):
    def test_every_remedy_is_complete(self):
        for key, remedy in remedies.every().items():
            self.assertEqual(key, remedy.key)
            self.assertRegex(key, r'\A[a-z][a-z0-9_]*\Z')
            self.assertFalse(remedy.text.endswith('.'), key)
            for text in (
                remedy.text,
                remedy.cause,
                remedy.vendor,
                remedy.kernel,
                remedy.machine,
                remedy.source,
            ):
                self.assertNotEqual('', text, key)

    def test_every_name_in_braces_can_be_filled(self):
        for remedy in remedies.every().values():
            names = {
                name
                for _, name, _, _ in string.Formatter().parse(remedy.text)
                if name is not None
            }
            advice = remedy(**dict.fromkeys(names, 'x'))
            self.assertNotIn('{', advice)

    def test_error_when_two_have_one_key(self):
        other = Remedy(parameter_remedy.MODPROBE.key, 'x', 'y')
        self.patch(parameter_remedy, 'REFUSED', other)
        self.assertRaises(ValueError, remedies.every)

    def test_found_in_tables_too(self):
        self.patch(parameter_remedy, '_TABLE', {'x': ONE, 'y': 3})
        self.addCleanup(delattr, parameter_remedy, '_TABLE')
        self.assertIs(ONE, remedies.every()['one'])

    def patch(self, module, name, value):
        if hasattr(module, name):
            self.addCleanup(setattr, module, name, getattr(module, name))
        setattr(module, name, value)


class TestSetParameter(testtools.TestCase):
    def advice(self, cmdline, names=None, name='nested'):
        directories = {} if names is None else {'/sys/module/kvm_amd': names}
        look = look_at(
            files={'/proc/cmdline': cmdline}, directories=directories
        )
        return set_parameter(look, 'kvm_amd', name)

    def test_word_that_switches_it_off_is_to_go(self):
        for word in (
            'kvm_amd.nested=0',
            'kvm-amd.nested=0',
            'kvm_amd.nested=N',
            'kvm_amd.nested=off',
            'kvm_amd.nested=f',
            'kvm_amd.nested=',
        ):
            advice = self.advice(f'kvm_amd.nested=1 {word} ro')
            self.assertEqual(('parameter_off_on_command_line',), advice.keys)
            self.assertIn(f'remove {word} from', advice)
            self.assertNotIn('options', advice)

    def test_nothing_is_advised_that_is_set(self):
        for word in (
            'kvm_amd.nested=1',
            'kvm_amd.nested=Y',
            'kvm_amd.nested=true',
            'kvm_amd.nested=on',
            'kvm_amd.nested',
            'kvm_amd.nested=2',
        ):
            advice = self.advice(f'kvm_amd.nested=0 {word}')
            self.assertEqual(('parameter_refused',), advice.keys)
            self.assertIn(word, advice)

    def test_file_when_the_module_can_be_loaded(self):
        for names in (
            None,
            ('initstate', 'parameters'),
            ('srcversion',),
            EACCES,
        ):
            advice = self.advice('ro', names)
            self.assertEqual(('parameter_in_modprobe_d',), advice.keys)
            self.assertIn('"options kvm_amd nested=1"', advice)

    def test_command_line_when_the_module_is_built_in(self):
        advice = self.advice(EACCES, ('parameters', 'uevent'))
        self.assertEqual(('parameter_of_built_in_module',), advice.keys)
        self.assertIn('put kvm_amd.nested=1 on', advice)


class TestKind(testtools.TestCase):
    def kind(self, **files):
        paths = {
            'flags': '/proc/cpuinfo',
            'xen': '/sys/hypervisor/type',
            'xenfs': '/proc/xen/capabilities',
            'vendor': '/sys/class/dmi/id/sys_vendor',
            'product': '/sys/class/dmi/id/product_name',
            'bios': '/sys/class/dmi/id/bios_vendor',
        }
        files = {paths[name]: text for name, text in files.items()}
        return kind(look_at(files=files))

    def test_control_domain_of_xen(self):
        for files in (
            {'xenfs': 'control_d\n'},
            {'vendor': 'Dell Inc.'},
            {'vendor': 'Xen', 'xenfs': 'control_d'},
        ):
            self.assertIs(Kind.XEN_CONTROL, self.kind(xen='xen\n', **files))

    def test_guest_of_xen(self):
        for files in ({}, {'vendor': 'Xen'}, {'vendor': ''}, {'xenfs': ''}):
            self.assertIs(Kind.GUEST, self.kind(xen='xen', **files))

    def test_guest_of_another(self):
        self.assertIs(Kind.GUEST, self.kind(flags='flags: vmx hypervisor'))
        self.assertIs(Kind.GUEST, self.kind(vendor='QEMU'))

    def test_unknown_when_nothing_can_be_read(self):
        self.assertIs(Kind.UNKNOWN, self.kind())

    def test_bare_metal(self):
        found = self.kind(
            flags='flags: vmx', vendor='Dell Inc.', product='R650', bios='Dell'
        )
        self.assertIs(Kind.BARE_METAL, found)
