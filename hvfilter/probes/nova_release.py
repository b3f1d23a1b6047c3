# SPDX-License-Identifier: Apache-2.0
"""Which release of Nova runs here: what the operator states, else what is
installed."""

from __future__ import annotations

import dataclasses
import re

from hvfilter.host.base import Denied
from hvfilter.probes import own_option
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import shortened
from hvfilter.probes.nova_options import NovaOptions

PACKAGE = 'nova'
OPTION = 'nova_release'

OLDEST = 2
"""Any number above is taken; what hvfilter knows begins with release 27."""


@dataclasses.dataclass(frozen=True)
class Release:
    """What is known of the release.

    :ivar number: the major version, such as 34; None when it is not known
    :ivar source: where it was looked for
    :ivar value: what was found there, raw
    """

    number: int | None
    source: str
    value: str


def find(host: ProbeContext, options: NovaOptions) -> Release:
    """The release; nothing is raised."""
    if host.nova_release is not None:
        value = str(host.nova_release)
        return Release(host.nova_release, '--nova-release', value)
    stated = _stated(host, options)
    if stated is not None:
        return stated
    if options.layout is not None and not options.layout.host_qemu:
        name = options.layout.name
        value = f'nova-compute runs in a container or snap ({name})'
        return Release(None, f'[{own_option.SECTION}] {OPTION}', value)
    return _installed(host)


def _stated(host: ProbeContext, options: NovaOptions) -> Release | None:
    """``[hvfilter] nova_release``; None where no file sets it."""
    stated = own_option.find(host, options, OPTION)
    if stated is None:
        return None
    if stated.denied is not None:
        return Release(None, stated.path, str(stated.denied))
    return Release(number(stated.value), stated.path, shortened(stated.value))


def _installed(host: ProbeContext) -> Release:
    source = f'installed package {PACKAGE}'
    try:
        versions = host.versions(PACKAGE)
    except Denied as denied:
        return Release(None, source, str(denied))
    numbers = {number(version) for version in versions}
    value = ', '.join(versions)
    return Release(numbers.pop() if len(numbers) == 1 else None, source, value)


def number(version: str) -> int | None:
    """The major version of a version such as ``34``, ``34.0.0`` or
    ``32.1.0.dev7``; None when it is none."""
    match = re.fullmatch(r'(\d{1,3})(?:[.\-+~].*)?', version.strip())
    major = int(match[1]) if match else 0
    return major if major >= OLDEST else None
