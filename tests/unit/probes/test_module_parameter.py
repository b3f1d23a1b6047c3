# SPDX-License-Identifier: Apache-2.0

import dataclasses

from testtools.matchers import Contains

from hvfilter.model.catalogue import Stage
from hvfilter.probes.base import Probe
from hvfilter.probes.module_parameter import ModuleParameter
from hvfilter.probes.parameter_remedy import set_parameter
from hvfilter.probes.remedies import Remedy
from tests.unit.probes.base import EACCES, ENOENT, ProbeTestCase, look_at

PATH = '/sys/module/kvm_amd/parameters/sev'
LOAD = Remedy('load_it', 'load kvm_amd', 'not loaded')()
NEWER = Remedy('newer', 'run another kernel', 'no such parameter')()
PARAMETER = ModuleParameter(
    'kvm_amd', 'sev', on='KVM uses SEV', off='KVM does not use SEV'
)


class Declared(Probe):
    """One parameter, and nothing else."""

    parameter = PARAMETER

    def observe(self, look):
        yield from self.parameter.observe(
            look,
            'sev',
            lambda: ('it is off', set_parameter(look, 'kvm_amd', 'sev')),
        )


class TestModuleParameter(ProbeTestCase):
    probe = Declared

    def found(self, value, modules=('kvm_amd',), kernel='6.12.1', **fields):
        fields = {'feature': 'SEV', **fields}
        self.probe = type(
            'Changed',
            (Declared,),
            {'parameter': dataclasses.replace(PARAMETER, **fields)},
        )
        files = {} if value is None else {PATH: value}
        look = look_at(files=files, modules=modules, kernel=kernel)
        return self.said(look, 'sev', Stage.KVM)

    def test_state_when_it_is_read(self):
        for value, state, reason in (
            ('Y', 'present', 'KVM uses SEV'),
            ('0', 'absent', 'KVM does not use SEV: it is off'),
            ('-1', 'unknown', f"{PATH} is '-1', neither yes nor no"),
        ):
            (said,) = self.found(value)
            self.assertEqual(state, said.state.value)
            self.assertEqual(reason, said.reason)
            self.assertEqual(PATH, said.source)
            self.assertEqual('sev', said.asked)

    def test_nothing_when_it_is_on_and_that_is_not_all(self):
        self.assertEqual([], self.found('Y', proves=False))
        (said,) = self.found('N', proves=False)
        self.assertEqual('absent', said.state.value)

    def test_unknown_when_it_cannot_be_read(self):
        for value, modules, fields in (
            (EACCES, ('kvm_amd',), {'newer': NEWER}),
            (None, ('kvm_amd',), {'newer': NEWER}),
            (ENOENT, ('kvm_amd',), {}),
            (ENOENT, None, {'newer': NEWER, 'load': LOAD}),
        ):
            (said,) = self.found(value, modules, **fields)
            self.assertEqual('unknown', said.state.value)
            self.assertThat(said.reason, Contains('does not show whether KVM'))

    def test_module_when_it_is_not_there(self):
        for value in (ENOENT, EACCES, None):
            self.assertEqual([], self.found(value, ('kvm',), newer=NEWER))
            (said,) = self.found(value, ('kvm',), load=LOAD)
            self.assertEqual('absent', said.state.value)
            self.assertEqual(LOAD, said.remedy)
            self.assertThat(said.reason, Contains('kvm_amd is not loaded'))

    def test_absent_when_the_module_has_no_such_parameter(self):
        (said,) = self.found(ENOENT, newer=NEWER)
        self.assertEqual('absent', said.state.value)
        self.assertEqual(NEWER, said.remedy)

    def test_absent_when_the_kernel_is_older(self):
        for value in ('Y', ENOENT):
            (said,) = self.found(value, since=(6, 13))
            self.assertEqual('absent', said.state.value)
            self.assertEqual('run a kernel from 6.13 on', said.remedy)
        for kernel in ('6.13.0', 'unanswered-of'):
            (said,) = self.found('Y', since=(6, 13), kernel=kernel)
            self.assertEqual('present', said.state.value)

    def test_setting_when_it_is_certain(self):
        for value, on, off in (
            ('Y', True, False),
            ('N', False, True),
            ('?', False, False),
            (EACCES, False, False),
        ):
            look = look_at(files={PATH: value})
            self.assertIs(on, PARAMETER.is_set(look, True))
            self.assertIs(off, PARAMETER.is_set(look, False))
