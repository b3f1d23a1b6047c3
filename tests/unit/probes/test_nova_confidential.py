# SPDX-License-Identifier: Apache-2.0

from hvfilter.host.answers import Refusal
from hvfilter.model.catalogue import Stage
from hvfilter.probes.nova_confidential import CAPACITY, NAMES, SINCE
from tests.unit.probes.base import EACCES, ENOENT
from tests.unit.probes.test_nova_config import (
    INTEL,
    KOLLA,
    MAIN,
    NovaTestCase,
    nova,
    one_file,
)

AGENT = '/etc/hvfilter/hvfilter.conf'
SNP = '/sys/module/kvm_amd/parameters/sev_snp'
OFF = {SNP: 'N\n', CAPACITY: 'res_a 1\ntdx 15\n'}
ON = {SNP: 'Y\n', CAPACITY: 'tdx 15\n'}


def stated(value):
    return {'hvfilter': {'nova_release': (value,) if value else ()}}


class ConfidentialTestCase(NovaTestCase):
    def look(self, versions=None, files=OFF, options=None, **values):
        """A host with these versions installed, host-passthrough set."""
        values.setdefault('cpu_mode', 'host-passthrough')
        return nova(
            files={**INTEL, **files},
            options={AGENT: ENOENT, **(options or {})},
            versions=versions,
            **values,
        )


class TestRelease(ConfidentialTestCase):
    def test_by_release_when_installed(self):
        for number in (27, 31, 32, 33, 34, 35):
            look = self.look((f'{number}.1.0',))
            for key in NAMES:
                known = number >= SINCE.get(key, 0)
                expected = 'present' if known else 'absent'
                if key == 'secure_execution':
                    expected = 'absent' if number < 35 else 'unknown'
                said = self.about(look, key)
                self.assertEqual(expected, said.state.value, (number, key))
                if key in SINCE and not known:
                    self.assertIn(f'Nova {number}', said.reason)
                    self.assertIn(str(SINCE[key]), said.remedy)

    def test_unknown_when_the_release_is_not_known(self):
        for versions in (
            None,
            ENOENT,
            EACCES,
            (),
            ('31.0.0', '34.0.0'),
            ('?',),
            ('0.0.1',),
        ):
            look = self.look(versions)
            for key in SINCE:
                self.check('unknown', look, key, 'not known', 'nova_release')
            self.check('present', look, 'sev')
            self.check('absent', look, 'secure_execution', 'up to 34')

    def test_one_release_when_several_versions_of_it_are_installed(self):
        look = self.look(('34.0.0', '34.1.0.dev7'))
        self.check('present', look, 'tdx')

    def test_stated_when_an_option_says_it(self):
        for options, number in (
            ({AGENT: stated('31')}, 31),
            ({AGENT: stated('34.0.0')}, 34),
            ({AGENT: stated('')}, 33),
            (
                {
                    MAIN: {
                        **one_file(cpu_mode='host-passthrough'),
                        **stated('31'),
                    }
                },
                31,
            ),
        ):
            look = self.look(('33.0.0',), options=options)
            expected = 'present' if number >= 32 else 'absent'
            self.check(expected, look, 'sev_es', f'Nova {number}')

    def test_unknown_when_the_option_makes_no_sense_or_is_refused(self):
        for answer in (stated('2026.2 or so'), stated('Gazpacho'), EACCES):
            look = self.look(('34.0.0',), options={AGENT: answer})
            expected = 'not known'
            self.check('unknown', look, 'sev_es', expected)

    def test_command_line_when_it_says_otherwise(self):
        look = self.look(('31.0.0',), options={AGENT: stated('32')})
        look.nova_release = 34
        self.check('present', look, 'tdx', 'Nova 34')

    def test_packages_of_the_host_do_not_count_when_in_a_container(self):
        values = {'cpu_mode': 'host-passthrough'}
        options = {AGENT: ENOENT, MAIN: ENOENT, KOLLA: one_file(**values)}
        look = self.look(('34.0.0',), options=options)
        self.check('unknown', look, 'tdx', 'Kolla', 'nova_release')
        options[AGENT] = stated('34')
        look = self.look(('31.0.0',), options=options)
        self.check('present', look, 'tdx')


class TestSev(ConfidentialTestCase):
    def test_es_yields_when_snp_is_on(self):
        for versions, expected in (
            (('31.0.0',), 'absent'),
            (('32.0.0',), 'present'),
            (('33.0.0',), 'present'),
            (('34.0.0',), 'absent'),
            (None, 'absent'),
        ):
            look = self.look(versions, ON)
            self.check(expected, look, 'sev_es')
            self.check('present', look, 'sev')
        remedy = self.about(self.look(('34.0.0',), ON), 'sev_es').remedy
        self.assertIn('sev_snp=0', remedy)

    def test_es_when_the_parameter_is_not_there(self):
        """As Nova takes it: what is not there is off."""
        look = self.look(('34.0.0',), {SNP: ENOENT})
        self.check('present', look, 'sev_es')

    def test_es_unknown_when_the_parameter_cannot_be_read(self):
        for answer in (EACCES, Refusal('EIO')):
            look = self.look(('34.0.0',), {SNP: answer})
            self.assertEqual('unknown', self.about(look, 'sev_es').state.value)

    def test_limit_when_the_release_reads_it(self):
        for versions, expected in (
            (('31.0.0',), 'absent'),
            (('33.0.0',), 'absent'),
            (('34.0.0',), 'present'),
            (None, 'absent'),
        ):
            look = self.look(versions, num_memory_encrypted_guests='0')
            self.check(expected, look, 'sev')


class TestTdx(ConfidentialTestCase):
    def test_absent_when_guests_do_not_get_the_processor_itself(self):
        for mode in (None, 'host-model', 'none'):
            for versions in (('34.0.0',), None):
                look = self.look(versions, cpu_mode=mode)
                self.check(
                    'absent', look, 'tdx', 'host-passthrough', 'cpu_mode'
                )

    def test_guests_when_counted(self):
        for limit, capacity, expected in (
            ('5', ENOENT, 'present'),
            ('5', EACCES, 'present'),
            ('0', 'tdx 15\n', 'absent'),
            ('none', 'tdx 15\n', 'absent'),
            (None, 'tdx 15\n', 'present'),
            (None, 'tdx 0\n', 'absent'),
            (None, 'sev 10\n', 'absent'),
            (None, 'tdx\n', 'absent'),
            (None, ENOENT, 'absent'),
            (None, EACCES, 'unknown'),
        ):
            files = {CAPACITY: capacity}
            limits = {} if limit is None else {'num_intel_tdx_guests': limit}
            look = self.look(('34.0.0',), files, **limits)
            said = self.about(look, 'tdx')
            self.assertEqual(expected, said.state.value, (limit, capacity))
            if expected == 'absent':
                self.assertIn('num_intel_tdx_guests', said.remedy)

    def test_stage_when_asked(self):
        self.assertIs(Stage.NOVA, self.about(self.look(), 'tdx').stage)
