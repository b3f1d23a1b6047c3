# SPDX-License-Identifier: Apache-2.0
"""The hosts made up by hand, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.hosts.made.machine import Made
from tests.hosts.made.x86 import Amd, Intel

NO_EPT = (0, 3, 4, 6)


def intel_all_on() -> Made:
    return Intel('Intel server with everything on, as it should be').make()


def intel_nested_off() -> Made:
    return Intel(
        'Intel server whose kvm_intel was loaded with nested=0',
        parameters={'nested': 'N'},
    ).make()


def intel_firmware_lock() -> Made:
    return Intel(
        'Intel server whose firmware locked VMX off after a board swap',
        feature_control=0x1,
    ).make()


def intel_virt_type_qemu() -> Made:
    made = Intel('Intel server in order, but Nova is told to use TCG').make()
    made.nova(virt_type='qemu')
    return made


def intel_no_ept() -> Made:
    return Intel(
        'An old Intel processor, of the time before EPT',
        model_name='Intel(R) Core(TM)2 Duo CPU     T9600  @ 2.80GHz',
        model=23,
        secondary=NO_EPT,
        pin=(0, 3, 5),
        dmi=('LENOVO', '2055W2T', 'LENOVO'),
    ).make()


def amd_everything() -> Made:
    return Amd(
        'AMD server with everything on, AVIC too',
        parameters={'avic': 'Y'},
    ).make()


HOSTS: Mapping[str, Callable[[], Made]] = {
    'intel-all-on': intel_all_on,
    'intel-nested-off': intel_nested_off,
    'intel-firmware-lock': intel_firmware_lock,
    'intel-virt-type-qemu': intel_virt_type_qemu,
    'intel-no-ept': intel_no_ept,
    'amd-everything': amd_everything,
}
