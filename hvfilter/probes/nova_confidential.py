# SPDX-License-Identifier: Apache-2.0
"""Stage nova of confidential guests: what the Nova that runs here starts.

As ``supports_amd_sev``, ``supports_amd_sev_es``, ``supports_amd_sev_snp`` and
``supports_intel_tdx`` decide (nova/virt/libvirt/host.py, releases 27 to 34),
as far as Nova decides: what the kernel, libvirt and QEMU offer belongs to the
stages before. Nova has no code for IBM Secure Execution.
"""

from __future__ import annotations

from hvfilter.host.base import Denied
from hvfilter.model.finding import State
from hvfilter.probes import nova_release
from hvfilter.probes.context import ProbeContext, parameter_path, truth
from hvfilter.probes.evidence import access
from hvfilter.probes.nova_options import NovaOptions
from hvfilter.probes.nova_release import Release
from hvfilter.probes.remedies import NONE, Advice, Remedy

NAMES = {
    'sev': 'SEV',
    'sev_es': 'SEV-ES',
    'sev_snp': 'SEV-SNP',
    'tdx': 'TDX',
    'secure_execution': 'Secure Execution',
}

SINCE = {'sev_es': 32, 'sev_snp': 34, 'tdx': 34}
"""The first release that starts them; plain SEV is older than release 27."""

KNOWN_UP_TO = 34
"""The newest release that was read."""

_ES_YIELDS_SINCE = 34
"""From here on SEV-ES is ignored where KVM has SEV-SNP switched on."""

_GUEST_LIMIT_UNTIL = 33
"""The last release that reads num_memory_encrypted_guests."""

CAPACITY = '/sys/fs/cgroup/misc.capacity'
"""The kernel's misc control group: ``tdx <guests>`` (kernel
Documentation/admin-guide/cgroup-v2.rst, Misc)."""

Answer = tuple[State, str, str, Advice]
"""State, what was asked, reason, remedy."""

_STATE_RELEASE = Remedy(
    'state_nova_release',
    'set [hvfilter] nova_release in /etc/hvfilter/hvfilter.conf, or give '
    '--nova-release, to the major version of the Nova that runs here',
    'the installed Nova is not known',
    source='hvfilter/probes/nova_release.py',
)
_UPGRADE = Remedy(
    'upgrade_nova',
    'upgrade nova-compute to release {since} or later',
    'Nova is older than its support of the guests',
    source='nova/virt/libvirt/host.py',
)
_OTHER_MANAGER = Remedy(
    'no_nova_starts_secure_execution',
    'Nova up to release 34 cannot: manage these guests by other means',
    'Nova has no code for Secure Execution',
    vendor='IBM',
    source='nova/objects/fields.py MemEncryptionModel',
)
_SNP_OFF = Remedy(
    'kvm_amd_sev_snp_off',
    'ask for SEV-SNP instead; or set "options kvm_amd sev_snp=0" in '
    '/etc/modprobe.d/ and reload the module or reboot',
    'Nova ignores SEV-ES where SEV-SNP is switched on',
    vendor='AMD',
    source='nova/virt/libvirt/host.py supports_amd_sev_es',
)
_PASSTHROUGH = Remedy(
    'cpu_mode_host_passthrough_for_tdx',
    'set [libvirt] cpu_mode = host-passthrough in nova.conf and restart '
    'nova-compute',
    'TDX guests need the processor itself as their CPU model',
    vendor='Intel',
    source='nova/virt/libvirt/host.py supports_intel_tdx',
)
_TDX_GUESTS = Remedy(
    'num_intel_tdx_guests',
    'set [libvirt] num_intel_tdx_guests in nova.conf to the number of TDX '
    'guests that the processor has key identifiers for',
    'Nova counts no TDX guests',
    vendor='Intel',
    source='nova/virt/libvirt/host.py _get_tdx_capacity',
)
_GUEST_LIMIT = Remedy(
    'num_memory_encrypted_guests',
    'remove num_memory_encrypted_guests from [libvirt] in nova.conf, or '
    'raise it',
    'Nova is configured to start no guests with encrypted memory',
    vendor='AMD',
    kernel='any; Nova up to 33',
    source='nova/conf/libvirt.py',
)


def answer(key: str, host: ProbeContext, options: NovaOptions) -> Answer:
    """Of a Nova that starts KVM guests: does it start these?

    :param key: one of NAMES
    """
    name = NAMES[key]
    release = nova_release.find(host, options)
    if key == 'secure_execution':
        return _secure_execution(release)
    since = SINCE.get(key, 0)
    if release.number is not None and release.number < since:
        return (
            State.ABSENT,
            'release',
            f'Nova {release.number} starts no {name} guests '
            f'({release.source}: {release.value})',
            _UPGRADE(since=str(since)),
        )
    if key == 'tdx':
        of_key = _tdx(host, options, release)
    else:
        of_key = _limited(key, options, release) or _sev(key, host, release)
    if of_key[0] is State.PRESENT and since and release.number is None:
        return (
            State.UNKNOWN,
            'release',
            f'Nova starts {name} guests since release {since}; which release '
            f'runs here is not known: {release.source}: {release.value}',
            _STATE_RELEASE(),
        )
    return of_key


def _present(key: str, release: Release) -> Answer:
    number = '' if release.number is None else f' {release.number}'
    reason = f'Nova{number} starts {NAMES[key]} guests'
    return (State.PRESENT, 'release', reason, NONE)


def _secure_execution(release: Release) -> Answer:
    number = release.number
    if number is not None and number > KNOWN_UP_TO:
        reason = (
            f'whether Nova {number} starts Secure Execution guests is not '
            'known to this release of hvfilter'
        )
        return (State.UNKNOWN, 'release', reason, NONE)
    return (
        State.ABSENT,
        'release',
        f'no release of Nova up to {KNOWN_UP_TO} starts Secure Execution '
        'guests',
        _OTHER_MANAGER(),
    )


def _limited(
    key: str, options: NovaOptions, release: Release
) -> Answer | None:
    """The limit is set to none, in a release that reads it."""
    number = release.number or _GUEST_LIMIT_UNTIL
    reads = number <= _GUEST_LIMIT_UNTIL and key != 'sev_snp'
    if not reads or options.encrypted_guests != '0':
        return None
    return (
        State.ABSENT,
        'num_memory_encrypted_guests',
        'Nova before 34 starts no guests with encrypted memory: '
        'num_memory_encrypted_guests = 0',
        _GUEST_LIMIT(),
    )


def _sev(key: str, host: ProbeContext, release: Release) -> Answer:
    """SEV-ES gives way to SEV-SNP in Nova 34 and in updated AMD firmware, so
    it does also where the release is not known."""
    number = release.number or _ES_YIELDS_SINCE
    if key != 'sev_es' or number < _ES_YIELDS_SINCE:
        return _present(key, release)
    path = parameter_path('kvm_amd', 'sev_snp')
    try:
        value = host.text(path)
    except Denied as denied:
        if denied.not_found:
            # Nova takes a missing parameter for one that is off.
            return _present(key, release)
        return (
            State.UNKNOWN,
            'sev_snp',
            f'Nova {number} ignores SEV-ES where KVM has SEV-SNP switched '
            f'on; whether it has is not known: {denied}',
            Advice(access(denied)),
        )
    if truth(value) is False:
        return _present(key, release)
    return (
        State.ABSENT,
        'sev_snp',
        f'Nova {number} ignores SEV-ES where KVM has SEV-SNP switched on: '
        f'{path} = {value[:20]}',
        _SNP_OFF(),
    )


def _tdx(host: ProbeContext, options: NovaOptions, release: Release) -> Answer:
    mode = options.cpu_mode
    if mode != 'host-passthrough':
        return (
            State.ABSENT,
            'cpu_mode',
            'Nova starts TDX guests only with cpu_mode = host-passthrough; '
            f'it is {mode or "not set"}',
            _PASSTHROUGH(),
        )
    limit = options.tdx_guests
    if limit:
        if limit.isdecimal() and int(limit) > 0:
            return _present('tdx', release)
        reason = f'Nova starts no TDX guests: num_intel_tdx_guests = {limit}'
        return (
            State.ABSENT,
            'num_intel_tdx_guests',
            reason[:200],
            _TDX_GUESTS(),
        )
    return _tdx_capacity(host, release)


def _tdx_capacity(host: ProbeContext, release: Release) -> Answer:
    """How many guests Nova counts where no option says it."""
    asked = f'num_intel_tdx_guests; {CAPACITY}'
    try:
        lines = host.text(CAPACITY).splitlines()
    except Denied as denied:
        if not denied.not_found:
            return (
                State.UNKNOWN,
                asked,
                'Nova reads the number of TDX guests from the misc control '
                f'group, which is not known here: {denied}',
                Advice(access(denied)),
            )
        lines = []
    words = [line.split() for line in lines]
    for found in words:
        if found[:1] == ['tdx'] and found[1:] not in ([], ['0']):
            return _present('tdx', release)
    return (
        State.ABSENT,
        asked,
        'Nova counts 0 TDX guests: num_intel_tdx_guests is not set, and '
        f'{CAPACITY} names none',
        _TDX_GUESTS(),
    )
