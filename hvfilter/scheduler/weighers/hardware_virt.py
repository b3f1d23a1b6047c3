# SPDX-License-Identifier: Apache-2.0
"""HardwareVirtWeigher: the better of the hosts that will do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import nova.conf
from nova.scheduler import utils, weights
from oslo_log import log as logging

from hvfilter.model import catalogue
from hvfilter.rules import requests, weigh
from hvfilter.scheduler import knowledge, policies, request

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Terms:
    wishes: weigh.Wishes
    preferred: float
    scarce: float


# Nova has no types to check against.
class HardwareVirtWeigher(weights.BaseHostWeigher):  # type: ignore[misc]
    """Likes hosts that have what is preferred; spares scarce capabilities.

    Each of the two makes a number from 0 to 1, as Nova's weighers do after
    normalization, times its own multiplier.
    """

    # With these Nova's normalization leaves the numbers as they are, which
    # the two multipliers have gone into already.
    minval = 0
    maxval = 1

    def __init__(self) -> None:
        """Read the options, so that a wrong one shows at start."""
        super().__init__()
        policies.register()
        policies.configured()
        self._complain = policies.Complaints()

    def _weigh_object(self, obj: Any, weight_properties: Any) -> float:
        """The weight of a single host; Nova calls weigh_objects."""
        return self._weigh([obj], weight_properties)[0]

    def weigh_objects(
        self, weighed_obj_list: Sequence[Any], weight_properties: Any
    ) -> list[float]:
        """A weight for each host; 0 for all when something is broken."""
        hosts = [weighed.obj for weighed in weighed_obj_list]
        try:
            return self._weigh(hosts, weight_properties)
        except Exception:
            knowledge.current().statistics.add(errors=1)
            LOG.exception(
                'Hosts could not be weighed and all weigh the same. This is '
                'a fault of hvfilter: report it with what follows.'
            )
            return [0.0] * len(hosts)

    def _weigh(self, hosts: list[Any], spec: Any) -> list[float]:
        terms = self._terms(hosts, spec)
        keys = sorted(
            frozenset[str]().union(
                *(each.wishes.capabilities for each in _distinct(terms))
            )
        )
        if not keys:
            return [0.0] * len(hosts)
        traits = {key: catalogue.BY_KEY[key].trait for key in keys}
        snapshot = knowledge.current().holders.snapshot(
            frozenset(traits.values()), policies.ages()
        )
        holders = snapshot.holders or {}
        held = [(key, holders.get(traits[key], ())) for key in keys]
        found = [
            frozenset([key for key, uuids in held if host.uuid in uuids])
            for host in hosts
        ]
        scores = weigh.scores([each.wishes for each in terms], found)
        return [
            each.preferred * score.liked - each.scarce * score.wasted
            for each, score in zip(terms, scores, strict=True)
        ]

    def _terms(self, hosts: list[Any], spec: Any) -> list[_Terms]:
        """What counts for each host, as its aggregates change it."""
        asked = request.asked(spec)
        base = policies.configured()
        group = CONF.hvfilter
        scarce = frozenset(group.scarce)
        # Nova gives hosts of an aggregate one and the same object.
        known: dict[tuple[int, ...], _Terms] = {}
        found = []
        for host in hosts:
            which = tuple(map(id, host.aggregates or ()))
            terms = known.get(which)
            if terms is None:
                policy = policies.for_host(
                    host.aggregates or (), base, self._complain
                )
                needed = requests.requirements(asked, policy)
                terms = known[which] = _Terms(
                    weigh.wishes(needed, policy.reserved | scarce),
                    _multiplier(
                        host,
                        'preferred_weight_multiplier',
                        group.preferred_weight_multiplier,
                    ),
                    _multiplier(
                        host,
                        'scarce_weight_multiplier',
                        group.scarce_weight_multiplier,
                    ),
                )
            found.append(terms)
        return found


def _distinct(terms: list[_Terms]) -> Iterable[_Terms]:
    # By identity: to hash each host's anew takes a tenth of all the time.
    return {id(each): each for each in terms}.values()


def _multiplier(host: Any, name: str, configured: float) -> float:
    found: float = utils.get_weight_multiplier(
        host, policies.SCOPE + name, configured
    )
    return found
