# SPDX-License-Identifier: Apache-2.0
"""What probes are given of a host: each fact is read once."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from hvfilter.host import cmdline, cpulist
from hvfilter.host.base import Denied, Host, unless_denied
from hvfilter.host.cached import CachedHost
from hvfilter.host.cmdline import CommandLine, Parameter
from hvfilter.host.facts import CpuidEntry
from hvfilter.model.catalogue import Arch
from hvfilter.probes.cpuinfo import CpuInfo

T = TypeVar('T')


_LONGEST_RELEASE = 64
"""Characters that uname(2) has room for: __NEW_UTS_LEN."""


class ProbeContext(CachedHost):
    """A host that is asked everything once, and what follows from it.

    :ivar nova_config: nova-compute's configuration files and directories, in
        order; None for those that :mod:`hvfilter.probes.nova_files` finds
    :ivar nova_release: the major version of Nova, where somebody stated it
    """

    def __init__(
        self,
        host: Host,
        nova_config: tuple[str, ...] | None = None,
        nova_release: int | None = None,
    ) -> None:
        super().__init__(host)
        self.nova_config = nova_config
        self.nova_release = nova_release
        self._derived: dict[str, object] = {}

    def derived(self, key: str, derive: Callable[[], T]) -> T:
        """A conclusion that several probes need, drawn once; a denial is
        raised again.

        :param key: its name, such as ``module.function``
        """
        if key not in self._derived:
            try:
                self._derived[key] = derive()
            except Denied as denied:
                self._derived[key] = denied
        conclusion = self._derived[key]
        if isinstance(conclusion, Denied):
            raise conclusion.with_traceback(None)
        return cast(T, conclusion)

    @functools.cached_property
    def arch(self) -> Arch:
        """The architecture's family."""
        return unless_denied(
            lambda: Arch.from_machine(self.machine().arch), Arch.OTHER
        )

    @functools.cached_property
    def kernel(self) -> str:
        """The kernel's release; '' when not known."""
        kernel = unless_denied(lambda: self.machine().kernel, '')
        return kernel[:_LONGEST_RELEASE]

    @functools.cached_property
    def kernel_version(self) -> tuple[int, int]:
        """Major and minor number of the kernel; (0, 0) when not known."""
        match = re.match(r'(\d{1,9})\.(\d{1,9})', self.kernel)
        return (int(match[1]), int(match[2])) if match else (0, 0)

    @property
    def cpuinfo(self) -> CpuInfo:
        """``/proc/cpuinfo``; raises Denied."""
        return self.derived(
            'cpuinfo', lambda: CpuInfo(self.read('/proc/cpuinfo'))
        )

    def text(self, path: str) -> str:
        """A small text file without its last newline; raises Denied."""
        return self.read(path).decode('utf-8', 'replace').strip()

    @property
    def cmdline(self) -> CommandLine:
        """The kernel's command line; raises Denied."""
        return self.derived('cmdline', self._cmdline)

    def _cmdline(self) -> CommandLine:
        return CommandLine(self.text(cmdline.PATH))

    def boot_word(self, name: str) -> Parameter | None:
        """The word on the kernel's command line that sets a parameter.

        None where there is none, or where the line cannot be read: it names
        a cause, and is never evidence that there is no other.

        :param name: ``parameter`` or ``module.parameter``
        """
        words = self.boot_words(name)
        return words[-1] if words else None

    def boot_words(self, *names: str) -> tuple[Parameter, ...]:
        """All such words in order, where it is not the last that wins."""
        return unless_denied(lambda: self.cmdline.all(*names), ())

    def names(self, path: str) -> tuple[str, ...]:
        """The names in a directory; raises Denied."""
        return self.listdir(path)

    @property
    def cpus(self) -> tuple[int, ...]:
        """The numbers of the processors that are online, at least one."""
        return self.derived('cpus', self._cpus)

    def _cpus(self) -> tuple[int, ...]:
        try:
            return cpulist.parse(self.text('/sys/devices/system/cpu/online'))
        except (Denied, ValueError):
            pass
        numbers = unless_denied(lambda: self.cpuinfo.values('processor'), ())
        online = tuple(n for n in map(number, numbers) if n is not None)
        return online or (0,)

    def module_parameter(self, module: str, name: str) -> str:
        """The effective value of a kernel module's parameter, as printed."""
        return self.text(parameter_path(module, name))

    def module_loaded(self, module: str) -> bool:
        """Whether the kernel has the module, loaded or built in."""
        return module in self.names('/sys/module')

    def module_seen(self, module: str) -> bool | None:
        """The same; None where that cannot be read."""
        return unless_denied(lambda: self.module_loaded(module), None)

    def guest_cpuid(self) -> Mapping[tuple[int, int], CpuidEntry]:
        """KVM_GET_SUPPORTED_CPUID by leaf and subleaf; raises Denied."""
        return self.derived(
            'guest_cpuid',
            lambda: {
                (entry.leaf, entry.subleaf): entry
                for entry in self.kvm_supported_cpuid()
            },
        )

    @property
    def kvm_registered(self) -> bool:
        """Whether the kernel offers /dev/kvm, wherever its node may be.

        Raises Denied.
        """
        return self.misc_registered('kvm')

    def misc_registered(self, name: str) -> bool:
        """Whether a driver offers the misc device of this name.

        From ``/proc/misc`` (kernel drivers/char/misc.c); raises Denied.
        """
        lines = self.text('/proc/misc').splitlines()
        return any(line.split()[1:] == [name] for line in lines)


def number(text: str) -> int | None:
    """A decimal number of ordinary size; None when it is none."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def parameter_path(module: str, name: str) -> str:
    """Where sysfs shows a module's parameter."""
    return f'/sys/module/{module}/parameters/{name}'


def truth(value: str) -> bool | None:
    """A module parameter's boolean: ``Y/N`` and ``1/0``; None for others.

    The only boolean parser there is (kernel kernel/params.c prints bool as
    Y or N and int as a number; kvm_amd has both kinds). -1 is an "auto"
    that was never resolved.
    """
    return {'y': True, 'n': False, '1': True, '0': False}.get(
        value.strip().lower()
    )
