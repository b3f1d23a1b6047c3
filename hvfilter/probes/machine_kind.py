# SPDX-License-Identifier: Apache-2.0
"""Which kind of machine a remedy is for: real, a guest, or Xen's dom0.

This chooses between remedies. It is no evidence: what is known of
``bare_metal`` is in that finding.
"""

from __future__ import annotations

import enum

from hvfilter.host.base import unless_denied
from hvfilter.model.finding import State
from hvfilter.probes.bare_metal import BareMetal
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.machine_signs import DMI, XEN_TYPE

XEN_CAPABILITIES = '/proc/xen/capabilities'
_VENDOR = f'{DMI}/sys_vendor'


class Kind(enum.Enum):
    """What runs under this kernel."""

    BARE_METAL = 'bare metal'
    GUEST = 'guest'
    XEN_CONTROL = 'Xen control domain'
    UNKNOWN = 'unknown'


def kind(host: ProbeContext) -> Kind:
    """The kind of machine; the first sign of a hypervisor makes a guest."""
    return host.derived('machine_kind.kind', lambda: _kind(host))


def _kind(host: ProbeContext) -> Kind:
    if _controls_xen(host):
        return Kind.XEN_CONTROL
    states = {observation.state for observation in BareMetal().observe(host)}
    if State.ABSENT in states:
        return Kind.GUEST
    return Kind.BARE_METAL if State.PRESENT in states else Kind.UNKNOWN


def _controls_xen(host: ProbeContext) -> bool:
    """Whether this is the domain that controls Xen.

    Xen lists control_d among its capabilities (kernel
    drivers/xen/xenfs/super.c). Where xenfs is not mounted: only the control
    domain sees the DMI tables of the real machine; those of other domains
    are Xen's own, or there are none.
    """
    if _text(host, XEN_TYPE) != 'xen':
        return False
    if 'control_d' in _text(host, XEN_CAPABILITIES):
        return True
    vendor = _text(host, _VENDOR)
    return bool(vendor) and 'xen' not in vendor.lower()


def _text(host: ProbeContext, path: str) -> str:
    return unless_denied(lambda: host.text(path), '')
