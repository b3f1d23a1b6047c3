# SPDX-License-Identifier: Apache-2.0
"""Architectures whose KVM starts only on hardware that executes guests.

On x86 the vendor's module proves that much; on arm64, s390x, riscv64 and
loongarch64 there is but one KVM, it registers /dev/kvm only after it has
taken the virtualization extensions over, and it always uses second-level
address translation (kernel arch/{arm64,s390,riscv,loongarch}/kvm).

So an offered /dev/kvm is evidence, but weak: it shows what the kernel's
source promises, and vendors' kernels have been seen to offer it on
processors without the extension. What the processor itself shows in
cpuinfo outranks it, and it counts for nothing where the guest that was run
failed. A guest that the processor executed proves the extension.
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.host.base import NOT_RECORDED, Denied, unless_denied
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source
from hvfilter.probes.module_parameter import ModuleParameter
from hvfilter.probes.remedies import Advice, Remedy
from hvfilter.probes.smoke_verdict import Outcome, SmokeVerdict, judge

READ_DMESG = Remedy(
    'kvm_offered_but_runs_nothing',
    'read what the kernel says of kvm in dmesg',
    'the kernel offers KVM, and the guest that was run failed',
    vendor='arm64, ppc64, s390x',
    source='kernel arch/*/kvm',
)
_OTHER_ARCHITECTURE = Remedy(
    'kvm_without_nesting',
    'place guests that nest on hosts of another architecture',
    'KVM of this architecture has no nested virtualization',
    vendor='riscv64, loongarch64',
    source='kernel arch/riscv/kvm, arch/loongarch/kvm',
)

HARDWARE = ('hvm', 'kvm', 'slat', 'nested')
"""Capabilities that need the processor's virtualization extensions."""

_NOT_TO_BE_RUN = frozenset({'ECANCELED', 'EOPNOTSUPP', NOT_RECORDED})
"""--no-smoke, no guest for this architecture, an older recording."""

STAGES = (Stage.CPU, Stage.FIRMWARE)


def from_device(
    host: ProbeContext, extension: str, strength: Strength | None
) -> Iterator[Observation]:
    """What an offered /dev/kvm, and a guest, prove of the processor.

    :param extension: the name of the virtualization extension
    :param strength: how much an offered /dev/kvm says of the processor:
        PARAMETER where the kernel's use is all there is to go by, REGISTER
        where cpuinfo knows better, None where it says nothing
    """
    yield from from_guest(host, extension)
    try:
        version = host.kvm_api_version()
    except Denied:
        # Why not, and what follows for stage kvm, kvm_device reports.
        yield from from_registration(host, extension, strength)
        return
    if _run_refused(host):
        # It could have shown that the offer is void.
        return
    yield from _offered(
        host,
        extension,
        strength,
        'KVM_GET_API_VERSION',
        '/dev/kvm opens',
        f'API version {version}',
    )


def from_registration(
    host: ProbeContext, extension: str, strength: Strength | None
) -> Iterator[Observation]:
    """/dev/kvm that is offered, if not to us, proves as much."""
    # kvm_device reports where /proc/misc cannot be read.
    if not unless_denied(lambda: host.kvm_registered, False):
        return
    yield from _offered(
        host, extension, strength, '/proc/misc', 'kvm', 'there'
    )


def _offered(
    host: ProbeContext,
    extension: str,
    strength: Strength | None,
    name: str,
    item: str,
    value: str,
) -> Iterator[Observation]:
    """:param name: of the source; see :class:`~.evidence.Source`"""
    failed = guest_failed(host)
    for stage in STAGES if strength else ():
        source = Source(stage, strength or Strength.REGISTER, name, item)
        for key in HARDWARE:
            if failed:
                yield source.unknown(
                    key,
                    value,
                    f'the kernel offers KVM, but it runs no guest: {failed}',
                    READ_DMESG(),
                )
            else:
                yield source.present(key, value, f'KVM runs on {extension}')
    if not failed:
        yield Source(Stage.KVM, Strength.PARAMETER, name, item).present(
            'slat', value, f"KVM uses {extension}'s second-level translation"
        )


def from_guest(host: ProbeContext, extension: str) -> Iterator[Observation]:
    """A guest that ran as fast as the host proves the extension."""
    verdict = _smoke(host)
    if verdict is None or verdict.outcome is not Outcome.NATIVE:
        return
    for stage in STAGES:
        source = Source(
            stage, Strength.SMOKE, 'smoke run', 'a guest that runs'
        )
        for key in HARDWARE:
            yield source.present(
                key, verdict.text, f'the processor runs guests on {extension}'
            )


def guest_failed(host: ProbeContext) -> str:
    """How the guest that was run failed; '' unless it did."""
    verdict = _smoke(host)
    if verdict is None:
        return ''
    wrong = (Outcome.FAILED, Outcome.EMULATED)
    return verdict.text if verdict.outcome in wrong else ''


def _run_refused(host: ProbeContext) -> bool:
    """A guest was to be run on a /dev/kvm that opens, and could not be."""
    try:
        host.smoke()
    except Denied as denied:
        return denied.error not in _NOT_TO_BE_RUN
    return False


def _smoke(host: ProbeContext) -> SmokeVerdict | None:
    """The verdict on the guest; None when none was run."""
    # kvm_device reports why no guest was run.
    return unless_denied(lambda: judge(host.smoke()), None)


def not_shown(
    name: str, item: str, reason: str, remedy: str
) -> Iterator[Observation]:
    """Nothing but a running KVM would show the extension."""
    for stage in STAGES:
        source = Source(stage, Strength.REGISTER, name, item)
        for key in HARDWARE:
            yield source.unknown(key, '', reason, remedy)


def from_word(
    line: str,
    word: str,
    has: bool | None,
    value: str,
    extension: str,
    remedy: str,
    path: str = '/proc/cpuinfo',
) -> Iterator[Observation]:
    """What a word in cpuinfo proves: the kernel prints what it may use.

    :param has: None when the line is not there at all
    """
    states = {True: State.PRESENT, False: State.ABSENT, None: State.UNKNOWN}
    reason = {
        True: f'the processor has {extension}',
        False: f'the processor does not show {extension}',
        None: f'{path} does not show whether the processor has {extension}',
    }[has]
    for stage in STAGES[:1] if has is False else STAGES:
        source = Source(stage, Strength.FLAGS, path, f'{line}: {word}')
        for key in HARDWARE:
            yield source.observation(
                key,
                states[has],
                value,
                reason,
                remedy if has is False else '',
            )


def from_flag(
    host: ProbeContext, line: str, word: str, extension: str, remedy: Advice
) -> Iterator[Observation]:
    """What a word that the kernel prints once a machine or processor shows."""
    try:
        info = host.cpuinfo
    except Denied as denied:
        yield from unreadable(f'{line}: {word}', denied, extension)
        return
    value = info.first(line)
    has = word in info.words_everywhere(line) if info.values(line) else None
    yield from from_word(
        line, word, has, value or 'no such line', extension, remedy
    )


def unreadable(line: str, denied: Denied, extension: str) -> list[Observation]:
    """cpuinfo could not be read."""
    reason = f'cpuinfo cannot be read, which would show {extension}'
    return [
        Source(stage, Strength.FLAGS, '/proc/cpuinfo', line).denied(
            key, denied, reason
        )
        for stage in STAGES
        for key in HARDWARE
    ]


def nested_parameter(
    module: str, extension: str, *, proves: bool = True
) -> ModuleParameter:
    """Whether the module gives its extension to guests.

    :param proves: the parameter is all that it takes
    """
    return ModuleParameter(
        module,
        'nested',
        on=f'KVM gives {extension} to guests',
        off=f'KVM does not give {extension} to guests',
        proves=proves,
    )


def never_nested(arch: str, kernels: str) -> Observation:
    """KVM of this architecture has no nested virtualization."""
    source = Source(
        Stage.KVM, Strength.PARAMETER, f'KVM for {arch}', 'nesting'
    )
    return source.absent(
        'nested',
        kernels,
        f'KVM for {arch} shows no virtualization extensions to guests',
        _OTHER_ARCHITECTURE(),
    )
