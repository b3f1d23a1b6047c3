# SPDX-License-Identifier: Apache-2.0
"""What a publisher is: the way to write one of your own."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

from oslo_config import cfg

from hvfilter.model.finding import HostReport
from hvfilter.model.problem import Problem
from hvfilter.rules.traits import Wanted

NAMESPACE = 'hvfilter.publishers'


@dataclasses.dataclass(frozen=True)
class Identity:
    """What this host knows about which resource provider is its own.

    :ivar compute_ids: nova-compute's identity files that were found: path
        and text
    :ivar names: the names under which nova-compute may have registered it,
        the likeliest first
    :ivar unreadable: identity files, or the option that says where they are,
        that could not be read: which, and why
    """

    compute_ids: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one publisher did, or would do.

    :ivar publisher: its name
    :ivar target: what was published to: a provider, a file
    :ivar added: our trait names that are there now and were not
    :ivar removed: our trait names that were there and are no more
    :ivar kept: our trait names that were there and still are
    :ivar changed: whether anything was, or would be, written
    :ivar notes: what a person should know or do besides, a sentence each
    :ivar requests: requests sent, for publishers that send any
    :ivar conflicts: how many times another writer was faster
    :ivar content: the whole new content, for publishers that write a file
    :ivar failure: why it failed; everything else is then empty
    :ivar failure_code: the same as a word for machines
    :ivar unverified: trait names among ``kept`` that were published when the
        state was known; now it is UNKNOWN
    :ivar returning: trait names that should not be there, and that something
        else keeps adding, such as a nova-compute with a provider.yaml
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
    failure: str = ''
    failure_code: str = ''
    unverified: frozenset[str] = frozenset()
    returning: frozenset[str] = frozenset()

    @property
    def settled(self) -> bool:
        """What is published now is true, and stays so."""
        return not (self.failure or self.unverified or self.returning)


@dataclasses.dataclass(frozen=True)
class PublishContext:
    """What is to be published, and when.

    :ivar report: what was found
    :ivar wanted: the traits that follow from it; a name in neither of its
        sets is to stay as it is
    :ivar identity: which host this is
    :ivar probed_s: when it was found out, in seconds since the epoch
    :ivar now_s: when it is published, in seconds since the epoch
    :ivar previous: how the publishers before this one fared
    """

    report: HostReport
    wanted: Wanted
    identity: Identity
    probed_s: float
    now_s: float
    previous: tuple[Outcome, ...] = ()


class Publisher(abc.ABC):
    """Takes a host's findings to some place where others look.

    To add a publisher, derive from this class and name it in the entry point
    namespace ``hvfilter.publishers`` of your package::

        [entry_points]
        hvfilter.publishers =
            inventory = example.publish:InventoryPublisher

    An operator then lists ``inventory`` in ``[hvfilter]publishers``. The class
    is called with the configuration whenever ``hvfilter publish`` runs; it
    registers its own options there if it has any, and does nothing else yet.

    The rules, whatever the place:

    * A state that is UNKNOWN changes nothing: what was published stays.
    * What is not ours is never touched. Ours are the names for which
      :func:`hvfilter.model.catalogue.is_own` is true.
    * All or nothing: whoever looks, and whenever this is killed, sees what
      was published before or what is published now.
    * Publishing the same again writes nothing, unless the time is a part of
      what is published.
    * Failures are raised as :class:`~hvfilter.model.problem.Problem`, without
      secrets.
    """

    #: The name under which it is registered.
    name: ClassVar[str]

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf

    @abc.abstractmethod
    def preview(self, context: PublishContext) -> Outcome:
        """Tell exactly what :meth:`publish` would do, and change nothing.

        :raises Problem: it cannot be determined.
        """

    @abc.abstractmethod
    def publish(self, context: PublishContext) -> Outcome:
        """Publish, and return when it is done.

        :raises Problem: it was not done, or it is not known to be.
        """

    @abc.abstractmethod
    def withdraw(
        self, identity: Identity, *, dry_run: bool = False
    ) -> Outcome:
        """Leave nothing of ours behind.

        :param dry_run: only show what would be removed.
        :raises Problem: it was not done, or it is not known to be.
        """


def refuse_ironic(conf: cfg.ConfigOpts) -> None:
    """Refuse to publish about a host whose nova-compute manages others.

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
