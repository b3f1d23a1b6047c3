# SPDX-License-Identifier: Apache-2.0
"""One source of evidence, and the observations that follow from it."""

from __future__ import annotations

import dataclasses

from hvfilter.host.base import NOT_RECORDED, Denied, Holder
from hvfilter.host.question import Kind
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes.remedies import NONE, Advice, Remedy

SHOWN = 100
"""Characters of a raw value that are kept as evidence."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where evidence for one stage comes from.

    :ivar name: the file, ioctl, register or option
    :ivar item: what is read from it: a line, a bit, a word
    :ivar limit: characters of a value that are kept
    """

    stage: Stage
    strength: Strength
    name: str
    item: str
    limit: int = SHOWN

    def observation(
        self,
        key: str,
        state: State,
        value: str,
        reason: str,
        remedy: str = '',
    ) -> Observation:
        """What the source shows of a capability."""
        return Observation(
            key,
            self.stage,
            state,
            self.strength,
            self.name,
            self.item,
            shortened(value, self.limit),
            reason,
            remedy,
        )

    def present(self, key: str, value: str, reason: str) -> Observation:
        """The source shows the capability."""
        return self.observation(key, State.PRESENT, value, reason)

    def absent(
        self, key: str, value: str, reason: str, remedy: str = ''
    ) -> Observation:
        """The source shows that the capability is missing."""
        return self.observation(key, State.ABSENT, value, reason, remedy)

    def unknown(
        self, key: str, value: str, reason: str, remedy: str = ''
    ) -> Observation:
        """The source could be read and does not decide."""
        return self.observation(key, State.UNKNOWN, value, reason, remedy)

    def denied(
        self, key: str, denied: Denied, reason: str, remedy: str = ''
    ) -> Observation:
        """The source could not be read.

        :param remedy: by default how it could be read, see :func:`access`
        """
        return self.observation(
            key, State.UNKNOWN, str(denied), reason, remedy or access(denied)
        )


RECORD_AGAIN = Remedy(
    'access_record_again',
    'record the host again: this recording does not hold it',
    'a recording does not hold a fact',
    source='hvfilter record',
)
COPY_TOO = Remedy(
    'access_copy_too',
    'copy it too, or probe or record the host itself: this copy does not hold '
    'it',
    'a copy of some files of a host (--sysroot) does not hold a fact',
    source='hvfilter probe --sysroot',
)
BEYOND_DUMP = Remedy(
    'access_beyond_dump',
    'probe or record the host itself (hvfilter probe, hvfilter record): this '
    'dump does not hold it',
    'a dump of CPUID and MSRs (--cpuid) does not hold a fact',
    machine='any with x86 processors',
    source='hvfilter probe --cpuid',
)
KVM_GROUP = Remedy(
    'access_kvm_group',
    'add the user who runs hvfilter to the group of /dev/kvm',
    'permission denied on /dev/kvm',
    source='udev rule 50-udev-default.rules of systemd, group kvm',
)
MSR_AS_ROOT = Remedy(
    'access_msr',
    'load the module msr (modprobe msr) and run hvfilter as root',
    'a model-specific register could not be read',
    machine='any with x86 processors',
    source='msr(4)',
)
AS_ROOT = Remedy(
    'access_as_root',
    'run hvfilter as root to {what}',
    'permission denied',
    source='the errno EACCES or EPERM',
)
ON_THE_HOST = Remedy(
    'access_on_the_host',
    'run hvfilter on the host itself, not in a container that hides /sys',
    'sysfs is not shown',
    machine='a container',
    source='sysfs(5)',
)


_NOT_HELD = {
    Holder.RECORDING: RECORD_AGAIN,
    Holder.COPY: COPY_TOO,
    Holder.DUMP: BEYOND_DUMP,
}

_OF_KVM = frozenset(
    {
        Kind.KVM_API_VERSION,
        Kind.KVM_EXTENSION,
        Kind.KVM_SUPPORTED_CPUID,
        Kind.KVM_FEATURE_MSRS,
        Kind.SMOKE,
        Kind.NESTED_SMOKE,
    }
)
_OF_A_PATH = frozenset({Kind.FILE, Kind.DIRECTORY, Kind.STAT})


def access(denied: Denied) -> Advice:
    """What a person can do to have the fact after all; NONE when nothing."""
    if denied.error == NOT_RECORDED:
        return _NOT_HELD[denied.holder]()
    question = denied.question
    kind = question.kind if question else None
    if denied.forbidden and kind in _OF_KVM:
        return KVM_GROUP()
    if kind is Kind.MSR and (denied.forbidden or denied.not_found):
        return MSR_AS_ROOT()
    if denied.forbidden:
        return AS_ROOT(what=denied.what)
    if denied.not_found and question and kind in _OF_A_PATH:
        path, *_ = question.key
        if path.startswith('/sys/'):
            return ON_THE_HOST()
    return NONE


def shortened(value: str, limit: int = SHOWN) -> str:
    """A raw value, fit for one line of a report."""
    text = ' '.join(value.split())
    return text if len(text) <= limit else f'{text[:limit]}...'
