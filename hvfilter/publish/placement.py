# SPDX-License-Identifier: Apache-2.0
"""Publishing as traits of the compute node's provider, through the REST API.

Which provider is this host's: Nova ``nova/virt/node.py`` (the compute_id
file), ``nova/virt/libvirt/host.py`` (the name is libvirt's host name).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from hvfilter.conf import agent
from hvfilter.placement import client, errors, reconcile
from hvfilter.publish import base
from hvfilter.rules import traits
from hvfilter.rules.traits import Wanted

PLACEMENT = 'placement'
"""The type of the service in the catalogue."""


class PlacementPublisher(base.Publisher):
    """Writes traits to this host's resource provider.

    :param transport: how to reach Placement, None to find out from the
        configuration.
    """

    name = 'placement'

    def __init__(
        self, conf: cfg.ConfigOpts, transport: client.Transport | None = None
    ) -> None:
        super().__init__(conf)
        self._transport = transport

    def preview(self, occasion: base.Occasion) -> base.Outcome:
        """See :meth:`hvfilter.publish.base.Publisher.preview`."""
        return self._run(occasion.identity, occasion.wanted, dry_run=True)

    def publish(self, occasion: base.Occasion) -> base.Outcome:
        """See :meth:`hvfilter.publish.base.Publisher.publish`."""
        return self._run(occasion.identity, occasion.wanted)

    def withdraw(
        self, identity: base.Identity, *, dry_run: bool = False
    ) -> base.Outcome:
        """See :meth:`hvfilter.publish.base.Publisher.withdraw`."""
        return self._run(identity, traits.withdrawn(), dry_run=dry_run)

    def _run(
        self, identity: base.Identity, wanted: Wanted, *, dry_run: bool = False
    ) -> base.Outcome:
        target = target_of(self.conf, identity)
        options = self.conf.hvfilter
        patience = reconcile.Patience(
            deadline_s=options.publish_deadline_s,
            conflicts=options.publish_conflict_retries,
        )
        try:
            transport = self._transport or transport_of(self.conf)
            reconciler = reconcile.Reconciler(
                client.PlacementClient(transport), patience
            )
            act = reconciler.preview if dry_run else reconciler.reconcile
            change = act(target, wanted)
        except errors.PlacementError as error:
            # nova-compute may yet create the provider.
            passes = error.transient or isinstance(error, errors.NotFound)
            raise base.Failed(
                error.what, error.remedy, transient=passes, code=error.code
            ) from error
        return base.Outcome(
            self.name,
            f'resource provider {change.uuid}',
            added=change.added,
            removed=change.removed,
            kept=change.kept,
            changed=not change.idle,
            notes=_notes(change),
            requests=change.requests,
            conflicts=change.conflicts,
        )


def _notes(change: reconcile.Change) -> tuple[str, ...]:
    if not change.created:
        return ()
    return (f'{len(change.created)} trait names were new to Placement.',)


def target_of(
    conf: cfg.ConfigOpts, identity: base.Identity
) -> reconcile.Target:
    """Which resource provider is this host's.

    The configured uuid or name, else nova-compute's identity file, else the
    names of the host.

    :raises hvfilter.publish.base.Failed: it cannot be told.
    """
    options = conf.hvfilter
    if options.provider_uuid:
        return reconcile.Target(
            uuid=_uuid(options.provider_uuid, '[hvfilter]provider_uuid')
        )
    if options.provider_name:
        return reconcile.Target(names=(options.provider_name,))
    if 'ironic' in (conf.compute_driver or '').lower():
        raise base.Failed(
            f'This nova-compute ({conf.compute_driver}) manages bare metal '
            'nodes, each with a resource provider of its own, and none of '
            'them is this host',
            'Run hvfilter on hosts that run guests; Ironic nodes get their '
            'traits from Ironic ("openstack baremetal node add trait").',
        )
    found = {
        _uuid(text.strip(), path): path for path, text in identity.compute_ids
    }
    if len(found) > 1:
        raise base.Failed(
            'The identity files of nova-compute disagree: '
            + ', '.join(f'{path} has {uuid}' for uuid, path in found.items()),
            'nova-compute does not start so either: keep the one that '
            '"openstack hypervisor list" shows, or set '
            '[hvfilter]provider_uuid.',
        )
    for uuid in found:
        return reconcile.Target(uuid=uuid)
    if not identity.names:
        raise base.Failed(
            'It is not known which resource provider is this host',
            'Set [hvfilter]provider_uuid or [hvfilter]provider_name; see '
            '"openstack resource provider list".',
        )
    return reconcile.Target(names=identity.names)


def _uuid(text: str, origin: str) -> str:
    try:
        return client.canonical_uuid(text)
    except ValueError:
        raise base.Failed(
            f'{origin} holds no uuid',
            'Set it to the uuid of the resource provider; see "openstack '
            'resource provider list".',
        ) from None


def transport_of(
    conf: cfg.ConfigOpts,
    environ: Mapping[str, str] = os.environ,
    service: str = PLACEMENT,
) -> client.Transport:
    """How to reach Placement, as the configuration says.

    ``[placement]`` as nova-compute has it, if it names a way to authenticate;
    else a cloud of clouds.yaml (``OS_CLOUD``) or the environment's ``OS_*``.

    :param service: the type of another service, to be reached with the same
        credentials.
    :raises hvfilter.placement.errors.PlacementError: none of these is given,
        or it is not usable.
    """
    from hvfilter.placement import keystone

    agent.register_placement(conf)
    options = conf.placement
    with keystone.spoken():
        if options.auth_section or options.auth_type:
            return keystone.KeystoneTransport(_configured(conf, service))
        if 'OS_CLOUD' in environ or 'OS_AUTH_URL' in environ:
            return keystone.KeystoneTransport(_from_environment(conf, service))
    raise errors.Misconfigured(
        'There are no credentials for Placement',
        'Give the configuration file of nova-compute with --config-file '
        '/etc/nova/nova.conf (its section [placement] is used), or name a '
        'cloud of clouds.yaml in OS_CLOUD, or set OS_AUTH_URL and the like.',
    )


def _configured(conf: cfg.ConfigOpts, service: str) -> Any:
    from keystoneauth1 import loading

    group = agent.PLACEMENT_GROUP.name
    auth = loading.load_auth_from_conf_options(conf, group)
    _refuse_passwords_in_urls(
        getattr(auth, 'auth_url', None), conf.placement.endpoint_override
    )
    timeout_s = conf.placement.timeout or conf.hvfilter.placement_timeout_s
    session = loading.load_session_from_conf_options(
        conf, group, auth=auth, timeout=timeout_s
    )
    # Its type and place in [placement] are those of Placement.
    other: dict[str, Any] = (
        {}
        if service == PLACEMENT
        else {'service_type': service, 'endpoint_override': None}
    )
    return loading.load_adapter_from_conf_options(
        conf, group, session=session, auth=auth, **other
    )


def _from_environment(conf: cfg.ConfigOpts, service: str) -> Any:
    from keystoneauth1 import adapter

    try:
        from openstack import config
        from openstack import exceptions as sdk
    except ImportError:
        raise errors.Misconfigured(
            'openstacksdk is not installed, which reads clouds.yaml and the '
            'environment',
            'Install it ("pip install openstacksdk"), or use --config-file.',
        ) from None
    try:
        region = config.OpenStackConfig().get_one()
        session = region.get_session()
        endpoint = region.get_endpoint(service)
        interface = region.get_interface(service)
        region_name = region.get_region_name(service)
    except sdk.SDKException as error:
        raise errors.Misconfigured(
            f'clouds.yaml or the environment is not usable: {error}',
            'Check it with "openstack --os-cloud <name> token issue".',
        ) from None
    _refuse_passwords_in_urls(
        getattr(session.auth, 'auth_url', None), endpoint
    )
    if session.timeout is None:
        session.timeout = conf.hvfilter.placement_timeout_s
    # Not openstacksdk's own adapter: that one may answer from a cache.
    return adapter.Adapter(
        session,
        service_type=service,
        interface=interface,
        region_name=region_name,
        endpoint_override=endpoint,
    )


def _refuse_passwords_in_urls(*urls: str | None) -> None:
    """keystoneauth1 logs URLs as they are."""
    for url in urls:
        if url and '@' in url.partition('//')[2].partition('/')[0]:
            raise errors.Misconfigured(
                f'The URL of {client.without_secrets(url)} holds a user or '
                'a password, which would be seen in logs',
                'Write them as username and password beside it.',
            )
