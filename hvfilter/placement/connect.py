# SPDX-License-Identifier: Apache-2.0
"""Connecting to Placement, Nova and Glance as the configuration says."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from oslo_config import cfg

from hvfilter.conf import agent
from hvfilter.placement import client, errors

PLACEMENT = 'placement'
"""The type of the service in the catalogue."""


def transport_of(
    conf: cfg.ConfigOpts,
    environ: Mapping[str, str] = os.environ,
    service: str = PLACEMENT,
) -> client.Transport:
    """A transport to Placement, as configured.

    Uses ``[placement]`` if it sets ``auth_type`` or ``auth_section``, else a
    cloud of clouds.yaml (``OS_CLOUD``) or the environment's ``OS_*``.

    :param service: the type of another service to connect to with the same
        credentials.
    :raises hvfilter.placement.errors.PlacementError: there are no credentials
        or they are not usable.
    """
    from hvfilter.placement import keystone

    with keystone.translate_errors(), _translate_circles():
        agent.register_placement(conf)
        options = conf.placement
        if options.auth_section or options.auth_type:
            return keystone.KeystoneTransport(_configured(conf, service))
        if 'OS_CLOUD' in environ or 'OS_AUTH_URL' in environ:
            return keystone.KeystoneTransport(_from_environment(conf, service))
    raise errors.Misconfigured(
        'No credentials for Placement',
        "Name nova-compute's configuration file with --config-file "
        '/etc/nova/nova.conf (its section [placement] is used), or name a '
        'cloud of clouds.yaml in OS_CLOUD, or set OS_AUTH_URL and the other '
        'OS_* variables.',
    )


@contextlib.contextmanager
def _translate_circles() -> Iterator[None]:
    """oslo.config follows references without end."""
    try:
        yield
    except RecursionError:
        raise errors.Misconfigured(
            'Options that [placement] refers to with "$" refer to each other '
            'in a circle',
            'Write the value out in [placement].',
        ) from None


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
    # [placement] has the type and endpoint of Placement.
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
            'openstacksdk is not installed; it is needed to read clouds.yaml '
            'and the environment',
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
            f'Cannot use clouds.yaml or the environment: {error}',
            'Check it with "openstack --os-cloud <name> token issue".',
        ) from None
    _refuse_passwords_in_urls(
        getattr(session.auth, 'auth_url', None), endpoint
    )
    if session.timeout is None:
        session.timeout = conf.hvfilter.placement_timeout_s
    # Not openstacksdk's own adapter, which may use a cache.
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
                f'The URL {client.without_secrets(url)} contains a user or a '
                'password, which would appear in logs',
                'Set them as username and password instead.',
            )
