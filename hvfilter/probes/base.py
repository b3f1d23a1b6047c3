# SPDX-License-Identifier: Apache-2.0
"""The probe: what a plug-in of the ``hvfilter.probes`` namespace is."""

from __future__ import annotations

import abc
from collections.abc import Iterator

from hvfilter.model.catalogue import ANY, Arch
from hvfilter.model.finding import Observation
from hvfilter.probes.context import ProbeContext


class Probe(abc.ABC):
    """Observes one family of capabilities on one host.

    Register a subclass under ``hvfilter.probes`` and it is asked on every
    host whose architecture is in ``archs``. A probe

    * asks the machine only through ``host``, so that it runs on a recorded
      host as on the live one,
    * changes nothing,
    * observes nothing of a stage that it cannot decide, or UNKNOWN with the
      reason: :class:`~hvfilter.host.base.Denied` is never ABSENT,
    * gives a remedy wherever a person could change the answer.
    """

    archs: frozenset[Arch] = ANY

    @abc.abstractmethod
    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        """The observations of this family's sources, in any order."""
