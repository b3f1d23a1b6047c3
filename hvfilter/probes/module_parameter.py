# SPDX-License-Identifier: Apache-2.0
"""A boolean parameter of a kernel module, and what follows from its value.

sysfs shows the value in effect (kernel kernel/params.c): KVM's modules clear
those that they cannot use when they are loaded, ``nested`` of x86 apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from hvfilter.host.base import Denied, unless_denied
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes.context import ProbeContext, parameter_path, truth
from hvfilter.probes.evidence import Source
from hvfilter.probes.remedies import Advice, Remedy

NEWER_KERNEL = Remedy(
    'newer_kernel_for_kvm',
    'run a kernel from {version} on',
    "the kernel's KVM does not know the feature",
    kernel='before the one that it names',
    source='kernel arch/x86/kvm/vmx/vmx.c, svm/svm.c',
)


@dataclasses.dataclass(frozen=True)
class ModuleParameter:
    """One parameter.

    :ivar on: what it means when it is on, a clause: ``KVM uses EPT``
    :ivar off: what it means when it is off
    :ivar feature: what the kernel lacks that lacks the parameter
    :ivar since: the first kernel whose module has the feature
    :ivar load: how to load a module that is not there; None where the
        probe of /dev/kvm reports that
    :ivar newer: what helps where the module has no such parameter; None
        where it may have the feature all the same
    :ivar proves: it takes no more than the parameter; else it can only say no
    """

    module: str
    name: str
    on: str = ''
    off: str = ''
    feature: str = ''
    since: tuple[int, int] = (0, 0)
    load: Advice | None = None
    newer: Advice | None = None
    proves: bool = True

    @property
    def source(self) -> Source:
        """Where sysfs shows it."""
        path = parameter_path(self.module, self.name)
        return Source(Stage.KVM, Strength.PARAMETER, path, self.name)

    def is_set(self, host: ProbeContext, value: bool) -> bool:
        """Whether it certainly has this value."""
        # Nothing is concluded from a value that is not known.
        text = unless_denied(
            lambda: host.module_parameter(self.module, self.name), ''
        )
        return truth(text) is value

    def observe(
        self,
        host: ProbeContext,
        key: str,
        why_off: Callable[[], tuple[str, Advice]],
    ) -> Iterator[Observation]:
        """What it says of a capability.

        Nothing where the module is not there: then its features are off, as
        the probe of /dev/kvm observes.

        :param why_off: a clause for the reason, and the remedy
        """
        source = self.source
        try:
            value = host.module_parameter(self.module, self.name)
        except Denied as denied:
            yield from self._not_read(host, key, denied)
            return
        on = truth(value)
        if on is None:
            reason = f'{source.name} is {value[:40]!r}, neither yes nor no'
            yield source.unknown(key, value, reason)
        elif on and self._too_old(host):
            yield self._old_kernel(host, key)
        elif on and self.proves:
            yield source.present(key, value, self.on)
        elif not on:
            cause, remedy = why_off()
            yield source.absent(key, value, f'{self.off}: {cause}', remedy)

    def _not_read(
        self, host: ProbeContext, key: str, denied: Denied
    ) -> Iterator[Observation]:
        source = self.source
        loaded = host.module_seen(self.module)
        if loaded is False:
            if self.load is not None:
                cause = f'{self.module} is not loaded'
                reason = f'{self.off}: {cause}'
                yield source.absent(key, cause, reason, self.load)
        elif denied.not_found and self._too_old(host):
            yield self._old_kernel(host, key)
        elif denied.not_found and loaded and self.newer is not None:
            reason = (
                f'{self.module} of this kernel does not know {self.feature}'
            )
            yield source.absent(key, str(denied), reason, self.newer)
        else:
            reason = f'{source.name} does not show whether {self.on}'
            yield source.denied(key, denied, reason)

    def _too_old(self, host: ProbeContext) -> bool:
        return (0, 0) < host.kernel_version < self.since

    def _old_kernel(self, host: ProbeContext, key: str) -> Observation:
        return self.source.absent(
            key,
            f'kernel {host.kernel}',
            f"this kernel's KVM does not know {self.feature}",
            NEWER_KERNEL(version='.'.join(map(str, self.since))),
        )
