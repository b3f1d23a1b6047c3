# SPDX-License-Identifier: Apache-2.0
"""Publish traits of the compute node's provider through the REST API.

How the provider is identified: Nova ``nova/virt/node.py`` (the compute_id
file), ``nova/virt/libvirt/host.py`` (the name is libvirt's host name).
"""

from __future__ import annotations

from pathlib import Path

from oslo_config import cfg

from hvfilter.conf import agent
from hvfilter.model import dated
from hvfilter.model.dated import Kind
from hvfilter.model.problem import Problem
from hvfilter.placement import client, connect, errors, ownership, reconcile
from hvfilter.publish import base, left_over
from hvfilter.rules import traits
from hvfilter.rules.traits import DesiredTraits


class PlacementPublisher(base.Publisher):
    """Writes traits to this host's resource provider.

    :param transport: to Placement; None: as configured.
    """

    name = 'placement'

    def __init__(
        self, conf: cfg.ConfigOpts, transport: client.Transport | None = None
    ) -> None:
        super().__init__(conf)
        self._transport = transport

    def publish(
        self, context: base.PublishContext, *, dry_run: bool = False
    ) -> base.Outcome:
        """See :meth:`hvfilter.publish.base.Publisher.publish`."""
        return self._run(context.identity, context.desired, dry_run=dry_run)

    def withdraw(
        self, identity: base.Identity, *, dry_run: bool = False
    ) -> base.Outcome:
        """See :meth:`hvfilter.publish.base.Publisher.withdraw`."""
        desired = traits.withdrawn()
        return self._run(identity, desired, dry_run=dry_run, withdrawing=True)

    def _run(
        self,
        identity: base.Identity,
        desired: DesiredTraits,
        *,
        dry_run: bool,
        withdrawing: bool = False,
    ) -> base.Outcome:
        ref = provider_ref(self.conf, identity)
        files = self._config_files(ref)
        notes = (*left_over.notes(files), *_unreadable_notes(identity, ref))
        added_again = frozenset[str]().union(*(each.traits for each in files))
        try:
            reconciler = self._reconciler()
            change = (
                reconciler.preview(ref, desired)
                if dry_run
                else reconciler.reconcile(
                    ref, desired, await_provider=not withdrawing
                )
            )
        except errors.NotFound as error:
            if withdrawing:
                return base.Outcome(
                    self.name,
                    f'resource provider {ref}',
                    notes=(
                        f'{error.what}: nothing is left to remove.',
                        *notes,
                    ),
                    returning=added_again,
                )
            # nova-compute may yet create the provider.
            error.transient = True
            raise
        return base.Outcome(
            self.name,
            f'resource provider {change.uuid}',
            added=change.added,
            removed=change.removed,
            kept=change.kept,
            changed=not change.idle,
            notes=(
                *_notes(change, desired),
                *(_no_week_notes(change) if withdrawing else ()),
                *notes,
            ),
            requests=change.requests,
            conflicts=change.conflicts,
            unverified=change.unverified,
            returning=change.returning
            | (added_again - change.added - change.kept),
            provider=change.uuid,
        )

    def _reconciler(self) -> reconcile.Reconciler:
        options = self.conf.hvfilter
        return reconcile.Reconciler(
            client.PlacementClient(
                self._transport or connect.transport_of(self.conf)
            ),
            reconcile.RetryPolicy(
                deadline_s=options.publish_deadline_s,
                conflicts=options.publish_conflict_retries,
            ),
        )

    def _config_files(
        self, ref: reconcile.ProviderRef
    ) -> tuple[left_over.ConfigFile, ...]:
        """Files that make nova-compute add hvfilter traits, too."""
        options = self.conf.hvfilter
        own = Path(options.provider_config_file)
        return left_over.config_files(
            (own.parent, Path(agent.provider_config_location(self.conf))),
            apart_from=[own]
            if 'provider-config' in options.publishers
            else [],
            may_identify=lambda identified: _may_be(identified, ref),
        )


def _may_be(identified: str, ref: reconcile.ProviderRef) -> bool:
    """Whether a uuid or a name may be this host's; unknown counts as yes."""
    try:
        uuid = client.canonical_uuid(identified)
    except ValueError:
        return not ref.names or ownership.has_name(identified, ref.names)
    return ref.uuid in (None, uuid)


def _notes(
    change: reconcile.Change, desired: DesiredTraits
) -> tuple[str, ...]:
    notes = []
    if change.created:
        notes.append(
            f'{len(change.created)} trait names were created in Placement.'
        )
    if change.returning:
        notes.append(
            f'{", ".join(sorted(change.returning))}: removed again, because '
            'something else added it after the last removal. Either '
            'nova-compute read a provider.yaml that names it when it started: '
            'restart nova-compute. Or another host publishes to this '
            'resource provider: search for a copy of the compute_id file.'
        )
    if change.unknown_for_too_long:
        notes.append(
            f'{", ".join(sorted(change.unknown_for_too_long))}: removed, '
            'because its state has been unknown for more than '
            f'{desired.max_age_weeks} weeks ([hvfilter] '
            'report_max_age_weeks).'
        )
    return tuple(notes)


def _no_week_notes(change: reconcile.Change) -> tuple[str, ...]:
    """A note where nova-compute may have published there."""
    marks = filter(None, map(dated.parse, change.removed))
    if change.idle or any(mark.kind is Kind.REPORTED for mark in marks):
        return ()
    return (
        'The removed traits had no week of a report: nova-compute added them '
        'from a provider.yaml, and adds them again until the file is removed '
        'and nova-compute is restarted; or a release of hvfilter without '
        'weeks published them. Run this again in five minutes to see which.',
    )


def _unreadable_notes(
    identity: base.Identity, ref: reconcile.ProviderRef
) -> tuple[str, ...]:
    """Notes about unreadable files that would identify this host."""
    if ref.uuid is not None:
        return ()
    return tuple(
        f'Cannot read {name}: {reason}. Looked up the resource provider by '
        f'the name {ref} instead. Run this as a user who may read it, '
        'such as a member of the group nova, or set [hvfilter] '
        'provider_uuid.'
        for name, reason in identity.unreadable
    )


def provider_ref(
    conf: cfg.ConfigOpts, identity: base.Identity
) -> reconcile.ProviderRef:
    """How to find this host's resource provider.

    By the configured uuid or name, else by nova-compute's compute_id file,
    else by the names of the host.

    :raises hvfilter.model.problem.Problem: it cannot be determined.
    """
    options = conf.hvfilter
    if options.provider_uuid:
        return reconcile.ProviderRef(
            uuid=_uuid(options.provider_uuid, '[hvfilter] provider_uuid')
        )
    if options.provider_name:
        return reconcile.ProviderRef(names=(options.provider_name,))
    base.refuse_ironic(conf)
    uuids = {
        _uuid(text.strip(), path): path for path, text in identity.compute_ids
    }
    if len(uuids) > 1:
        raise Problem(
            'The compute_id files of nova-compute disagree: '
            + ', '.join(f'{path} has {uuid}' for uuid, path in uuids.items()),
            'nova-compute does not start with these files either: keep the '
            'one that "openstack hypervisor list" shows, or set [hvfilter] '
            'provider_uuid.',
        )
    for uuid, path in uuids.items():
        return reconcile.ProviderRef(uuid, identity.names, path)
    if not identity.names:
        raise Problem(
            'The resource provider of this host is not known',
            'Set [hvfilter] provider_uuid or provider_name; see '
            '"openstack resource provider list".',
        )
    return reconcile.ProviderRef(names=identity.names)


def _uuid(text: str, origin: str) -> str:
    try:
        return client.canonical_uuid(text)
    except ValueError:
        raise Problem(
            f'{origin} does not contain a uuid',
            'Set it to the uuid of the resource provider; see "openstack '
            'resource provider list".',
        ) from None
