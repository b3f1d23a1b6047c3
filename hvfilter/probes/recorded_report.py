# SPDX-License-Identifier: Apache-2.0
"""The report on a recording, for those who do not read the machine."""

from __future__ import annotations

from hvfilter.host import snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.model.finding import HostReport
from hvfilter.probes.host_report import probe_host


def report_of(data: bytes, origin: str) -> HostReport:
    """The report on a host that ``hvfilter record`` wrote down.

    :raises hvfilter.model.form.DocumentError: it is no recording
    """
    return probe_host(RecordedHost(snapshot.loads(data), origin))
