# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.host.base import Denied
from hvfilter.model.catalogue import VMX_PROCBASED, VMX_PROCBASED2
from hvfilter.model.finding import State
from hvfilter.probes import x86_readings
from hvfilter.probes.x86_features import (
    EITHER,
    SVM_FLAGS,
    VMX_FLAGS,
)
from hvfilter.probes.x86_readings import Reading, from_flags, from_registers
from tests.unit.probes.base import EACCES, EIO, look_at, regs

VMX = {1: regs(ecx=1 << 5), 0x80000000: regs(0x80000008)}
SVM = {
    1: regs(),
    0x80000000: regs(0x8000001F),
    0x80000001: regs(ecx=1 << 2),
    0x8000000A: regs(edx=0),
}
NEITHER = {1: regs(), 0x80000000: regs(0x80000008), 0x80000001: regs()}


def svm(edx):
    return {**SVM, 0x8000000A: regs(edx=edx)}


def high(*bits):
    return sum(1 << bit + 32 for bit in bits)


def vmx_msrs(pin=(), primary=(31,), secondary=()):
    return {
        0x480: 0xDA040000000010,
        0x481: high(*pin),
        0x482: high(*primary),
        0x48B: high(*secondary),
    }


class TestRegisters(testtools.TestCase):
    def states(self, look):
        return {k: r.state.value for k, r in from_registers(look).items()}

    def test_extensions_when_cpuid_shows_them(self):
        for cpuid, vtx, amdv in (
            (VMX, 'present', 'absent'),
            (SVM, 'absent', 'present'),
            (NEITHER, 'absent', 'absent'),
        ):
            found = self.states(
                look_at(cpuid={0x80000001: regs(), **cpuid}, cpus=3)
            )
            self.assertEqual(vtx, found['vtx'])
            self.assertEqual(amdv, found['amdv'])
            either = 'present' if 'present' in (vtx, amdv) else 'absent'
            for key in ('hvm', 'kvm', 'nested'):
                self.assertEqual(either, found[key])

    def test_svm_when_the_leaf_is_beyond_the_maximum(self):
        """A leaf beyond the maximum answers with another leaf's data."""
        cpuid = {
            **NEITHER,
            0x80000000: regs(0x80000000),
            0x80000001: regs(ecx=0xFFFFFFFF),
        }
        self.assertEqual('absent', self.states(look_at(cpuid=cpuid))['amdv'])

    def test_svm_features_when_the_leaf_is_beyond_the_maximum(self):
        cpuid = {**svm(0xFFFFFFFF), 0x80000000: regs(0x80000008)}
        self.assertEqual('absent', self.states(look_at(cpuid=cpuid))['npt'])

    def test_svm_when_its_leaf_is_the_last(self):
        cpuid = {**SVM, 0x80000000: regs(0x80000001)}
        found = self.states(look_at(cpuid=cpuid))
        self.assertEqual('present', found['amdv'])
        self.assertEqual('absent', found['npt'])
        cpuid = {**svm(1), 0x80000000: regs(0x8000000A)}
        found = self.states(look_at(cpuid=cpuid))
        self.assertEqual('present', found['npt'])

    def test_each_svm_feature_has_its_bit(self):
        bits = {
            'npt': 0,
            'lbrv': 1,
            'nrips': 3,
            'tsc_scaling': 4,
            'avic': 13,
            'vls': 15,
            'vgif': 16,
            'x2avic': 18,
            'vnmi': 25,
        }
        self.assertLessEqual(set(bits), set(SVM_FLAGS))
        for key, bit in bits.items():
            only = self.states(look_at(cpuid=svm(1 << bit)))
            but = self.states(look_at(cpuid=svm(0xFFFFFFFF & ~(1 << bit))))
            for other in bits:
                state = 'present' if other == key else 'absent'
                self.assertEqual(state, only[other], (key, other))
                state = 'absent' if other == key else 'present'
                self.assertEqual(state, but[other], (key, other))

    def test_svm_feature_is_none_without_svm(self):
        cpuid = {**svm(0xFFFFFFFF), 0x80000001: regs()}
        found = self.states(look_at(cpuid=cpuid))
        for key in SVM_FLAGS:
            self.assertEqual('absent', found[key])
        self.assertEqual('absent', found['slat'])

    def test_each_vmx_feature_has_its_bits(self):
        secondary = {
            'ept': (1,),
            'vpid': (5,),
            'unrestricted_guest': (7,),
            'apicv': (8, 9),
            'shadow_vmcs': (14,),
            'pml': (17,),
            'tsc_scaling': (25,),
            'mbec': (22,),
        }
        self.assertLessEqual(set(secondary), set(VMX_FLAGS))
        for key, bits in secondary.items():
            msrs = vmx_msrs((), (21, 31), bits)
            found = self.states(
                look_at(cpuid={**VMX, **SVM, **VMX}, msrs=msrs)
            )
            for other in secondary:
                state = 'present' if other == key else 'absent'
                self.assertEqual(state, found[other], (key, other))
            for lacking in bits:
                rest = tuple(b for b in range(32) if b != lacking)
                msrs = vmx_msrs(tuple(range(32)), tuple(range(32)), rest)
                found = self.states(look_at(cpuid=VMX, msrs=msrs))
                for other in secondary:
                    state = 'absent' if other == key else 'present'
                    self.assertEqual(state, found[other], (key, other))

    def test_posted_interrupts_are_a_pin_based_control(self):
        for pin, state in (((7,), 'present'), ((0, 6), 'absent')):
            look = look_at(cpuid=VMX, msrs=vmx_msrs(pin))
            self.assertEqual(state, self.states(look)['posted_interrupts'])

    def test_apicv_needs_the_tpr_shadow(self):
        msrs = vmx_msrs((), (31,), range(32))
        found = self.states(look_at(cpuid=VMX, msrs=msrs))
        self.assertEqual('absent', found['apicv'])
        self.assertEqual('present', found['ept'])

    def test_secondary_controls_count_only_when_they_can_be_activated(self):
        msrs = vmx_msrs((7,), (21,), range(32))
        found = self.states(look_at(cpuid=VMX, msrs=msrs))
        for key in VMX_FLAGS:
            state = 'present' if key == 'posted_interrupts' else 'absent'
            self.assertEqual(state, found[key], key)

    def test_low_half_of_a_register_does_not_count(self):
        msrs = {**vmx_msrs(), 0x481: 0xFFFFFFFF, 0x48B: 0xFFFFFFFF}
        found = self.states(look_at(cpuid=VMX, msrs=msrs))
        self.assertEqual('absent', found['ept'])
        self.assertEqual('absent', found['posted_interrupts'])

    def test_unknown_when_registers_are_emulated_as_zero(self):
        msrs = {0x480: 0, 0x481: 0, 0x482: 0, 0x48B: 0}
        readings = from_registers(look_at(cpuid=VMX, msrs=msrs))
        for key in VMX_FLAGS:
            self.assertIs(State.UNKNOWN, readings[key].state)
            self.assertEqual(
                str(Denied('read MSR 0x480', 'ENODATA', 'it reads 0')),
                readings[key].value,
            )

    def test_unknown_when_a_register_cannot_be_read(self):
        msrs = [vmx_msrs(), {**vmx_msrs(), 0x48B: EACCES}]
        readings = from_registers(look_at(cpuid=VMX, msrs=msrs, cpus=2))
        self.assertIs(State.UNKNOWN, readings['ept'].state)
        self.assertIn('EACCES', readings['ept'].value)
        self.assertIs(State.PRESENT, readings['vtx'].state)
        # Its register can be read.
        self.assertIs(State.ABSENT, readings['posted_interrupts'].state)

    def test_absent_without_vmx_whatever_registers_say(self):
        look = look_at(cpuid=NEITHER, msrs=dict.fromkeys((0x480, 0x48B), EIO))
        for key in VMX_FLAGS:
            self.assertEqual('absent', self.states(look)[key])

    def test_unknown_when_cpuid_cannot_be_executed(self):
        readings = from_registers(look_at())
        for key in ('vtx', 'amdv', 'npt', 'ept', 'slat', 'kvm'):
            self.assertIs(State.UNKNOWN, readings[key].state)

    def test_absent_when_processors_disagree(self):
        look = look_at(cpuid=[VMX, NEITHER, VMX, NEITHER], cpus=4)
        reading = from_registers(look)['vtx']
        self.assertIs(State.ABSENT, reading.state)
        self.assertEqual(
            'processors disagree: 0,2 have it, 1,3 do not', reading.value
        )

    def test_value_when_many_processors_disagree(self):
        tables = [VMX] * 12 + [NEITHER]
        look = look_at(cpuid=tables, cpus=13)
        self.assertEqual(
            'processors disagree: 0,1,2,3,4,5,6,7,... (12) have it, 12 do not',
            from_registers(look)['vtx'].value,
        )

    def test_value_when_eight_or_nine_processors_disagree(self):
        for count, shown in (
            (8, '0,1,2,3,4,5,6,7 have it'),
            (9, '0,1,2,3,4,5,6,7,... (9) have it'),
        ):
            look = look_at(cpuid=[VMX] * count + [NEITHER], cpus=count + 1)
            self.assertIn(shown, from_registers(look)['vtx'].value)

    def test_value_when_processors_agree(self):
        reading = from_registers(look_at(cpuid=VMX, cpus=2))['vtx']
        self.assertEqual('1 on all 2 processors', reading.value)
        self.assertEqual('CPUID', reading.source)
        self.assertEqual('CPUID.1:ECX[5] VMX', reading.asked)

    def test_either_when_one_is_present_and_the_other_unknown(self):
        cpuid = {1: regs(ecx=1 << 5), 0x80000000: EIO}
        readings = from_registers(look_at(cpuid=cpuid))
        self.assertIs(State.PRESENT, readings['kvm'].state)

    def test_either_when_both_are_absent(self):
        reading = from_registers(look_at(cpuid=NEITHER))['slat']
        self.assertIs(State.ABSENT, reading.state)
        self.assertEqual('MSR, CPUID', reading.source)
        self.assertIn('8000000A', reading.asked)
        reading = from_registers(look_at(cpuid=NEITHER))['hvm']
        self.assertEqual('CPUID', reading.source)
        self.assertEqual('0 on all 1 processors', reading.value)

    @given(st.integers(0, 2**64 - 1), st.integers(0, 63))
    def test_vmx_allowed_of_any_register(self, value, bit):
        registers = {VMX_PROCBASED: 1 << 63, VMX_PROCBASED2: value}
        self.assertEqual(
            bool(value & 1 << bit),
            x86_readings.vmx_allowed(
                registers.__getitem__, VMX_PROCBASED2, bit
            ),
        )
        registers[VMX_PROCBASED] = ~(1 << 63) & 2**64 - 1
        self.assertFalse(
            x86_readings.vmx_allowed(
                registers.__getitem__, VMX_PROCBASED2, bit
            )
        )


class TestVendor(testtools.TestCase):
    def leaf_0(self, name):
        ebx, edx, ecx = (
            int.from_bytes(name[at : at + 4], 'little') for at in (0, 4, 8)
        )
        return {0: regs(eax=1, ebx=ebx, ecx=ecx, edx=edx)}

    def test_cpuinfo_when_it_tells(self):
        look = look_at(
            files={'/proc/cpuinfo': 'vendor_id : AuthenticAMD\n'},
            cpuid=self.leaf_0(b'GenuineIntel'),
        )
        self.assertEqual('AuthenticAMD', x86_readings.vendor(look))
        self.assertEqual('kvm_amd', x86_readings.vendor_module(look))

    def test_cpuid_when_there_is_no_cpuinfo(self):
        for name, told, module in (
            (b'GenuineIntel', 'GenuineIntel', 'kvm_intel'),
            (b'AuthenticAMD', 'AuthenticAMD', 'kvm_amd'),
            (b'HygonGenuine', 'HygonGenuine', 'kvm_amd'),
            (b'  Shanghai  ', 'Shanghai', 'kvm_intel'),
            (b'\0' * 12, '', ''),
            (b'\xff' * 12, '\ufffd' * 12, 'kvm_intel'),
        ):
            look = look_at(cpuid=self.leaf_0(name))
            self.assertEqual(told, x86_readings.vendor(look))
            self.assertEqual(module, x86_readings.vendor_module(look))

    def test_nobody_when_neither_tells(self):
        self.assertEqual('', x86_readings.vendor(look_at()))
        self.assertEqual('', x86_readings.vendor_module(look_at()))


class TestFlags(testtools.TestCase):
    def readings(self, text):
        return from_flags(look_at(files={'/proc/cpuinfo': text}))

    def states(self, text):
        return {k: r.state.value for k, r in self.readings(text).items()}

    def test_unknown_when_cpuinfo_cannot_be_read(self):
        readings = from_flags(look_at(files={'/proc/cpuinfo': EACCES}))
        self.assertEqual({'vtx', 'amdv', *EITHER}, set(readings))
        for reading in readings.values():
            self.assertIs(State.UNKNOWN, reading.state)
            self.assertIn('EACCES', reading.value)

    def test_unknown_when_there_are_no_flags(self):
        readings = self.readings('processor : 0\n')
        self.assertEqual({'vtx', 'amdv', *EITHER}, set(readings))
        for reading in readings.values():
            self.assertEqual(
                Reading(
                    State.UNKNOWN, '/proc/cpuinfo', 'flags', 'no such line'
                ),
                reading,
            )

    def test_intel_features_when_all_words_are_there(self):
        words = ' '.join(
            word
            for flag in VMX_FLAGS.values()
            for word in flag.words
            if flag.line == 'vmx flags'
        )
        self.assertIn('posted_intr', words)
        found = self.states(f'flags : vmx ept vpid\nvmx flags : {words}\n')
        for key in VMX_FLAGS:
            self.assertEqual('present', found[key], key)
        for key in SVM_FLAGS.keys() - VMX_FLAGS.keys():
            self.assertEqual('absent', found[key], key)
        self.assertEqual('present', found['slat'])
        self.assertEqual('present', found['vtx'])
        for word in words.split():
            rest = words.replace(word, '')
            found = self.states(f'flags : vmx ept vpid\nvmx flags : {rest}\n')
            absent = [k for k in VMX_FLAGS if found[k] == 'absent']
            self.assertEqual(1, len(absent), word)

    def test_no_reading_when_the_kernel_prints_no_vmx_flags(self):
        found = self.states('flags : vmx ept\n')
        self.assertEqual('present', found['ept'])
        self.assertEqual('absent', found['vpid'])
        self.assertNotIn('pml', found)

    def test_absent_when_vmx_is_not_printed(self):
        """KVM can use none of what goes with it."""
        found = self.states('vendor_id : GenuineIntel\nflags : fpu ept\n')
        self.assertEqual('absent', found['vtx'])
        for key in (*VMX_FLAGS, 'slat', 'nested_slat'):
            self.assertEqual('absent', found[key])

    def test_absent_when_amd_does_not_print_vmx(self):
        for vendor in ('AuthenticAMD', 'HygonGenuine'):
            found = self.states(f'vendor_id : {vendor}\nflags : svm npt\n')
            for key in VMX_FLAGS:
                self.assertEqual('absent', found[key])
            self.assertEqual('present', found['slat'])

    def test_amd_features_when_all_words_are_there(self):
        words = ' '.join(flag.word for flag in SVM_FLAGS.values())
        self.assertIn('tsc_scale', words)
        found = self.states(f'flags : svm {words}\n')
        for key in SVM_FLAGS:
            self.assertEqual('present', found[key], key)
        found = self.states(f'flags : {words}\n')
        for key in SVM_FLAGS:
            self.assertEqual('absent', found[key], key)

    def test_words_must_match_whole(self):
        found = self.states('flags : svme-addr-chk xvmx\n')
        self.assertEqual('absent', found['amdv'])
        self.assertEqual('absent', found['vtx'])

    def test_absent_when_processors_disagree(self):
        readings = self.readings('flags : vmx\nflags : fpu\nflags : vmx\n')
        self.assertIs(State.ABSENT, readings['vtx'].state)
        self.assertEqual(
            'processors disagree: 2 of 3 have it', readings['vtx'].value
        )
        # Nothing follows for the other words of VT-x.
        self.assertNotIn('ept', readings)

    def test_values_when_processors_agree(self):
        readings = self.readings('flags : vmx\nflags : vmx\n')
        self.assertEqual('on all 2 processors', readings['vtx'].value)
        self.assertEqual('on none of 2 processors', readings['amdv'].value)
        self.assertEqual('flags: vmx', readings['vtx'].asked)
