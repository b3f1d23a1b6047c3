# SPDX-License-Identifier: Apache-2.0
"""The interface of publishers."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

from oslo_config import cfg

from hvfilter.model.finding import HostReport
from hvfilter.model.problem import Problem
from hvfilter.rules.traits import DesiredTraits

NAMESPACE = 'hvfilter.publishers'


@dataclasses.dataclass(frozen=True)
class Identity:
    """What identifies this host's resource provider.

    :ivar compute_ids: nova-compute's compute_id files that exist: path and
        text
    :ivar names: the names that nova-compute may have registered, the most
        likely first
    :ivar unreadable: compute_id files, or the option with their location,
        that could not be read: which, and why
    """

    compute_ids: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of one publisher, or of its preview.

    :ivar publisher: its name
    :ivar target: where it published: a provider, a file
    :ivar added: hvfilter trait names that are there now and were not
    :ivar removed: hvfilter trait names that were there and are not now
    :ivar kept: hvfilter trait names that were there and still are
    :ivar changed: whether anything was, or would be, written
    :ivar notes: what else an operator should know or do, a sentence each
    :ivar requests: requests sent, for publishers that send any
    :ivar conflicts: how many writes failed as another writer was faster
    :ivar content: the whole new content, for publishers that write a file
    :ivar problem: why it failed; everything else is then empty
    :ivar unverified: trait names among ``kept`` that were published when the
        state was known; now it is UNKNOWN
    :ivar returning: trait names that should not be there, and that something
        else keeps adding, such as a nova-compute with a provider.yaml
    :ivar provider: the uuid of the resource provider, for publishers that
        write to one
    """

    publisher: str
    target: str
    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    changed: bool = False
    notes: tuple[str, ...] = ()
    requests: int = 0
    conflicts: int = 0
    content: str = ''
    problem: Problem | None = None
    unverified: frozenset[str] = frozenset()
    returning: frozenset[str] = frozenset()
    provider: str = ''

    @property
    def settled(self) -> bool:
        """What is published now is certain, and nothing else changes it."""
        return not (self.problem or self.unverified or self.returning)


@dataclasses.dataclass(frozen=True)
class PublishContext:
    """What to publish, and when.

    :ivar report: the report on the host
    :ivar desired: the traits that follow from it; a name in neither of its
        sets is left unchanged
    :ivar identity: which host it is
    :ivar probed_s: when it was probed, in seconds since the epoch
    :ivar now_s: when it is published, in seconds since the epoch
    :ivar previous: the results of the publishers before this one
    """

    report: HostReport
    desired: DesiredTraits
    identity: Identity
    probed_s: float
    now_s: float
    previous: tuple[Outcome, ...] = ()


class Publisher(abc.ABC):
    """Writes the findings of a host to another service.

    To add a publisher, derive from this class and name it in the entry point
    namespace ``hvfilter.publishers`` of your package::

        [entry_points]
        hvfilter.publishers =
            inventory = example.publish:InventoryPublisher

    An operator then lists ``inventory`` in ``[hvfilter] publishers``. The
    class is called with the configuration when ``hvfilter publish`` runs; its
    constructor may register options and does nothing else.

    Rules for all publishers:

    * A state that is UNKNOWN changes nothing: what was published stays.
    * Only hvfilter's names are changed: those for which
      :func:`hvfilter.model.catalogue.is_own` is true.
    * All or nothing: readers see the old content or the new, also when the
      process is killed.
    * Publishing the same again writes nothing, unless the time is part of
      what is published.
    * Failures are raised as :class:`~hvfilter.model.problem.Problem`, without
      secrets.
    """

    #: The name under which it is registered.
    name: ClassVar[str]

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf

    @abc.abstractmethod
    def publish(
        self, context: PublishContext, *, dry_run: bool = False
    ) -> Outcome:
        """Publish, and return when it is done.

        :param dry_run: only return what would be done, and change nothing.
        :raises Problem: it was not done, or it is not known to be.
        """

    @abc.abstractmethod
    def withdraw(
        self, identity: Identity, *, dry_run: bool = False
    ) -> Outcome:
        """Remove everything that was published.

        :param dry_run: only show what would be removed.
        :raises Problem: it was not done, or it is not known to be.
        """


def refuse_ironic(conf: cfg.ConfigOpts) -> None:
    """Refuse a host whose nova-compute manages Ironic nodes.

    :raises Problem: its compute nodes are Ironic's.
    """
    if 'ironic' in (conf.compute_driver or '').lower():
        raise Problem(
            f'This nova-compute ({conf.compute_driver}) manages bare metal '
            'nodes, each with a resource provider of its own, and none of '
            'them is this host',
            'Run hvfilter on hosts that run guests; Ironic nodes get their '
            'traits from Ironic ("openstack baremetal node add trait").',
        )
