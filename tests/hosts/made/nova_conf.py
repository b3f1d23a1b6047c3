# SPDX-License-Identifier: Apache-2.0
"""Hosts in order, on which nova-compute's configuration is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hvfilter.host import ini
from hvfilter.host.answers import Refusal
from tests.hosts.made import others
from tests.hosts.made.machine import Made
from tests.hosts.made.x86 import Amd, Intel

_NOVA_CONF = '/etc/nova/nova.conf'
_KOLLA = '/etc/kolla/nova-compute/nova.conf'
_SNAP = '/var/snap/openstack-hypervisor/common/etc/nova/nova.conf'


def nova_other_driver() -> Made:
    made = Intel('nova-compute manages Ironic nodes here').make()
    made.nova(compute_driver='ironic.IronicDriver')
    return made


def nova_cpu_mode_unknown() -> Made:
    made = Intel('cpu_mode has a value that nova-compute refuses').make()
    made.nova(cpu_mode='passthrough')
    return made


def nova_custom_without_model() -> Made:
    made = Amd('cpu_mode = custom without cpu_models').make()
    made.nova(cpu_mode='custom')
    return made


def nova_cpu_mode_none() -> Made:
    made = Intel("Guests get QEMU's default CPU model").make()
    made.nova(cpu_mode='none')
    return made


def nova_custom_model_amd() -> Made:
    made = Amd('Nova gives guests a CPU model, which has no SVM').make()
    made.text('/etc/os-release', 'ID="rocky"', 'ID_LIKE="rhel centos fedora"')
    made.nova(cpu_mode='custom', cpu_models='EPYC-Rome')
    return made


def nova_refers_to_another_option() -> Made:
    made = Intel('virt_type refers to an option of the same file').make()
    made.nova(virt_type='$my_virt_type')
    return made


def nova_does_not_parse() -> Made:
    made = Intel('A line of nova.conf is neither section nor option').make()
    made.options[_NOVA_CONF] = Refusal(
        ini.MALFORMED, text='line 12: neither a section nor an option'
    )
    return made


def nova_rivals() -> Made:
    made = Intel("Kolla's nova.conf beside one left over by packages").make()
    made.nova(virt_type='qemu')
    made.nova(_KOLLA)
    return made


def nova_in_a_snap() -> Made:
    made = Intel("The snap's nova.conf says virt_type = qemu").make()
    made.no_nova()
    made.nova(_SNAP, virt_type='qemu')
    return made


def nova_s390x_custom_model() -> Made:
    made = others.s390x(
        'z15 partition, Nova gives guests a CPU model', sie=True, nested='1'
    )
    made.nova(cpu_mode='custom', cpu_models='z14')
    return made


def nova_flags_removed() -> Made:
    made = Intel('cpu_model_extra_flags removes EPT and PML').make()
    made.nova(
        cpu_mode='host-passthrough',
        cpu_model_extra_flags='-vmx-ept, -vmx-pml, -pcid',
    )
    return made


def nova_flags_removed_amd() -> Made:
    made = Amd('cpu_model_extra_flags removes NPT and vGIF').make()
    made.nova(cpu_mode='host-passthrough', cpu_model_extra_flags='-npt, -vgif')
    return made


_ALL = (
    nova_other_driver,
    nova_cpu_mode_unknown,
    nova_custom_without_model,
    nova_cpu_mode_none,
    nova_custom_model_amd,
    nova_refers_to_another_option,
    nova_does_not_parse,
    nova_rivals,
    nova_in_a_snap,
    nova_s390x_custom_model,
    nova_flags_removed,
    nova_flags_removed_amd,
)

HOSTS: Mapping[str, Callable[[], Made]] = {
    make.__name__.replace('_', '-'): make for make in _ALL
}
