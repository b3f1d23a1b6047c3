# SPDX-License-Identifier: Apache-2.0
"""Who may open /dev/kvm: not only who looks, but who starts the guests.

libvirt starts QEMU as an account of its own with all its groups: libvirt-qemu
on Debian and Ubuntu, qemu on Fedora, RHEL and openSUSE (libvirt
``src/qemu/qemu_conf.c``, ``src/util/virutil.c`` ``virSetUIDGIDWithCaps``). It
does not change the owner of /dev/kvm; a udev rule gives the device to the
group kvm.
"""

from __future__ import annotations

from collections.abc import Sequence

from hvfilter.host.base import Denied, unless_denied
from hvfilter.host.facts import FileStat
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.remedies import Advice, Remedy

DEVICE = '/dev/kvm'

ACCOUNTS = ('libvirt-qemu', 'qemu')
"""The accounts under which QEMU runs, unless qemu.conf names another."""

_USUAL_GROUPS = ('kvm', 'qemu', 'libvirt-qemu')
"""Groups that these accounts have wherever packages made them."""

_READ_WRITE = 0o6

_CHGRP = Remedy(
    'kvm_chgrp',
    'give the device to the group kvm, in which QEMU runs: chgrp kvm '
    '/dev/kvm and chmod 0660 /dev/kvm, for good by the udev rule '
    'KERNEL=="kvm", '
    'GROUP="kvm", MODE="0660"',
    '/dev/kvm is closed to the account that runs QEMU',
    source='systemd rules.d/50-udev-default.rules; libvirt qemu.conf',
)
_JOIN = Remedy(
    'kvm_join_group',
    'add the user to the group {group}, which may open /dev/kvm',
    '/dev/kvm is closed to who runs this',
    source='systemd rules.d/50-udev-default.rules',
)
_CGROUP = Remedy(
    'kvm_device_rule',
    'allow the device in the rules of this container or unit (character '
    'device 10:232, rw: docker --device /dev/kvm, systemd '
    'DeviceAllow=/dev/kvm rw)',
    'a device cgroup refuses /dev/kvm with EPERM',
    source='kernel security/device_cgroup.c',
)
_SECURITY_MODULE = Remedy(
    'kvm_security_module',
    'let the security module (AppArmor, SELinux) allow it: the kernel says in '
    'its audit messages what it refused',
    '/dev/kvm is open to everybody by its mode and refused all the same',
    source='kernel security/security.c, file_open',
)


def closed_to_qemu(host: ProbeContext) -> tuple[str, Advice] | None:
    """Why QEMU may not open the device, and what to do; None where it may,
    or where nothing is known of it.

    Where neither account is known there are no packages of QEMU here, and
    nothing is known of who runs it.
    """
    stat = unless_denied(lambda: host.stat(DEVICE), None)
    if stat is None:
        # Not there, or an earlier release's recording: others report that.
        return None
    known, accounts = _accounts(host)
    if not known and not accounts:
        return None
    for account in accounts:
        if _may_open(stat, account, host.groups(account)):
            return None
    if not accounts and any(
        _may_open(stat, name, _USUAL_GROUPS) for name in ACCOUNTS
    ):
        return None
    who = ' and '.join(accounts or ACCOUNTS)
    return (
        f'{DEVICE} is closed to the account that runs QEMU ({who}): mode '
        f'{stat.mode:04o}, {stat.owner}:{stat.group}',
        _CHGRP(),
    )


def _accounts(host: ProbeContext) -> tuple[bool, tuple[str, ...]]:
    """Whether any answer is missing, and the accounts that are there."""
    missing, existing = False, []
    for account in ACCOUNTS:
        try:
            host.groups(account)
        except Denied as denied:
            missing = missing or not denied.not_found
        else:
            existing.append(account)
    return missing, tuple(existing)


def _may_open(stat: FileStat, account: str, groups: Sequence[str]) -> bool:
    """As the kernel decides it: owner, list, group, others (path_permission
    in fs/namei.c, acl(5))."""
    if stat.owner == account:
        return _both(stat.mode >> 6)
    if _by_list(stat, account, groups):
        return True
    if stat.group in groups:
        return _both(stat.mode >> 3)
    return _both(stat.mode)


def _by_list(stat: FileStat, account: str, groups: Sequence[str]) -> bool:
    named = {f'user:{account}'} | {f'group:{group}' for group in groups}
    mask, allowed = True, False
    for entry in stat.acl:
        who, _, letters = entry.rpartition(':')
        both = letters.startswith('rw')
        if who == 'mask:':
            mask = both
        elif who in named:
            allowed = allowed or both
    return allowed and mask


def _both(bits: int) -> bool:
    return bits & _READ_WRITE == _READ_WRITE


def remedy_of(host: ProbeContext, denied: Denied) -> Advice:
    """What helps who was refused the device."""
    if denied.error == 'EPERM':
        return _CGROUP()
    stat = unless_denied(lambda: host.stat(DEVICE), None)
    if stat is None:
        return _JOIN(group='kvm')
    if _both(stat.mode):
        return _SECURITY_MODULE()
    if stat.group != 'root' and _both(stat.mode >> 3):
        return _JOIN(group=stat.group)
    return _CHGRP()
