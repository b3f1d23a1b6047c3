# SPDX-License-Identifier: Apache-2.0
"""One cloud as the commands read it: Placement and Nova.

Values are read once and remembered for the one command that a process runs.
Where Nova refuses to show something to this user, the command goes on without
it and says so: see :meth:`Cloud.permitted`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from hvfilter.osc.compute import Compute, Hypervisor
from hvfilter.osc.transport import CloudConfiguration, CloudTransport
from hvfilter.placement import census, client, errors

_Value = TypeVar('_Value')


class Cloud:
    """What commands ask.

    :ivar placement: Placement, as far as traits are concerned
    :ivar compute: Nova
    :ivar transport: the way to Placement, for what ``placement`` has not
    :ivar nova: the way to Nova, likewise
    :ivar glance: the way to Glance, likewise
    :ivar notes: sentences for the user, such as about what is not shown
    :ivar incomplete: something is not shown
    """

    def __init__(
        self,
        placement: client.Transport,
        compute: client.Transport,
        image: client.Transport,
    ) -> None:
        self.transport = placement
        self.nova = compute
        self.glance = image
        self.placement = client.PlacementClient(placement)
        self.compute = Compute(compute)
        self.notes: list[str] = []
        self.incomplete = False
        self._hypervisors: Mapping[str, Hypervisor] | None = None
        self._census: dict[int, census.Census] = {}

    @classmethod
    def of(cls, configuration: CloudConfiguration) -> Cloud:
        """A cloud with the session of ``openstack``; sends nothing yet."""
        return cls(
            CloudTransport(configuration, 'placement', 'Placement'),
            CloudTransport(configuration, 'compute', 'Nova'),
            CloudTransport(configuration, 'image', 'Glance'),
        )

    def census(self, max_age_weeks: int) -> census.Census:
        """Every root provider with hvfilter's traits on it, read once.

        :param max_age_weeks: how old a valid report may be; 0: any age
        :raises errors.PlacementError: Placement did not answer
        """
        if max_age_weeks not in self._census:
            self._census[max_age_weeks] = census.read(
                self.placement, census.this_week(), max_age_weeks
            )
        return self._census[max_age_weeks]

    def hypervisors(self) -> Mapping[str, Hypervisor]:
        """Every compute node by uuid, read once.

        :raises errors.PlacementError: see :class:`Compute`
        """
        if self._hypervisors is None:
            self._hypervisors = {
                each.uuid: each for each in self.compute.hypervisors()
            }
        return self._hypervisors

    def permitted(
        self, ask: Callable[[], _Value], missing: str
    ) -> _Value | None:
        """What a question returns, None where this user may not ask it.

        :param missing: what the output lacks then: ``availability zones``
        """
        try:
            return ask()
        except errors.Forbidden as error:
            self.note_missing(missing, error)
            return None

    def note_missing(self, missing: str, error: errors.PlacementError) -> None:
        """Say what the output lacks, and why."""
        self.notes.append(f'Not shown: {missing}. {error}')
        self.incomplete = True
