# SPDX-License-Identifier: Apache-2.0
"""The report on a host: run all probes and combine what they observe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from hvfilter.host.base import Host, unless_denied
from hvfilter.host.facts import Machine
from hvfilter.model.finding import HostReport
from hvfilter.probes import processor, run
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.rules import combine


def probe_host(
    host: Host,
    nova_config: tuple[str, ...] | None = None,
    probes: Iterable[Probe] | None = None,
    nova_release: int | None = None,
) -> HostReport:
    """The report on a host, live or recorded. Never raises Denied.

    :param nova_config: nova-compute's configuration files or directories,
        in the order in which it reads them; None for the usual places
    :param probes: which probes to ask; None for all that are registered
    :param nova_release: the major version of the Nova that runs there, such
        as 34; None to find it out
    """
    context = ProbeContext(host, nova_config, nova_release)
    failed: list[str] = []
    chosen = run.registered(failed.append) if probes is None else probes
    machine = unless_denied(host.machine, Machine('unknown', 'unknown'))
    report = combine.report(
        machine.arch,
        machine.kernel,
        host.origin,
        run.observe(context, chosen, failed.append),
    )
    return dataclasses.replace(
        report,
        processor=processor.read(context),
        failed_probes=tuple(failed),
    )
