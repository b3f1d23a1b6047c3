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
    """How to reach Placement, as the configuration says.

    ``[placement]`` as nova-compute has it, if it names a way to authenticate;
    else a cloud of clouds.yaml (``OS_CLOUD``) or the environment's ``OS_*``.

    :param service: the type of another service, to be reached with the same
        credentials.
    :raises hvfilter.placement.errors.PlacementError: none of these is given,
        or it is not usable.
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
        'There are no credentials for Placement',
        'Give the configuration file of nova-compute with --config-file '
        '/etc/nova/nova.conf (its section [placement] is used), or name a '
        'cloud of clouds.yaml in OS_CLOUD, or set OS_AUTH_URL and the like.',
    )


@contextlib.contextmanager
def _translate_circles() -> Iterator[None]:
    """oslo.config follows references for as long as there are any."""
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
