# SPDX-License-Identifier: Apache-2.0
"""How a command reaches the services: the session of ``openstack``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from keystoneauth1 import adapter as ksa_adapter
from keystoneauth1 import exceptions as ksa

from hvfilter.placement import client, errors, keystone

_CREDENTIALS = (
    'Check the credentials in clouds.yaml or in the OS_* variables; '
    '"openstack token issue" tests them.'
)


class CloudConfiguration(Protocol):
    """What is used of openstacksdk's ``CloudRegion``."""

    def get_session_client(
        self, service_type: str, *, constructor: Any
    ) -> Any:
        """An adapter that knows the region, interface and overrides."""


class CloudTransport:
    """A :class:`~hvfilter.placement.client.Transport` to one service.

    :ivar requests: how many were sent
    """

    def __init__(
        self, cloud: CloudConfiguration, service: str, name: str
    ) -> None:
        """Nothing is sent before the first :meth:`request`.

        :param service: its type in the catalogue, as in ``compute``
        :param name: what people call it, as in ``Nova``
        """
        self._cloud = cloud
        self._service = service
        self._name = name
        self._over: keystone.KeystoneTransport | None = None
        self.requests = 0

    def request(
        self,
        method: str,
        path: str,
        *,
        microversion: str,
        body: Mapping[str, Any] | None = None,
    ) -> client.Response:
        """See :meth:`hvfilter.placement.client.Transport.request`."""
        self.requests += 1
        with translate_errors(self._name):
            if self._over is None:
                self._over = keystone.KeystoneTransport(
                    _Raising(
                        self._cloud.get_session_client(
                            self._service, constructor=_adapter
                        ),
                        self._name,
                    )
                )
            return self._over.request(
                method, path, microversion=microversion, body=body
            )


_KEPT = (
    'service_type',
    'service_name',
    'interface',
    'region_name',
    'endpoint_override',
    'connect_retries',
    'status_code_retries',
)
"""Of openstacksdk's settings. Without bounds on the major version nothing is
discovered, which would cost a request; each request has its microversion."""


def _adapter(session: Any, **settings: Any) -> ksa_adapter.Adapter:
    kept = {key: settings[key] for key in _KEPT if key in settings}
    return ksa_adapter.Adapter(session, **kept)


class _Raising:
    """An adapter whose errors name the service and clouds.yaml.

    Those of :class:`~hvfilter.placement.keystone.KeystoneTransport` name
    nova.conf, which is not what a command is configured by.
    """

    def __init__(self, adapter: keystone.Adapter, name: str) -> None:
        self._adapter = adapter
        self._name = name

    def request(self, url: str, method: str, **kwargs: Any) -> Any:
        with translate_errors(self._name):
            return self._adapter.request(url, method, **kwargs)


@contextlib.contextmanager
def translate_errors(name: str) -> Iterator[None]:
    """Turn keystoneauth1's exceptions into errors that name the service."""
    try:
        yield
    except ksa.SSLError as error:
        raise errors.Misconfigured(
            f'TLS to {name} or Keystone fails: {keystone.cause_of(error)}',
            'Set "cacert" in clouds.yaml or OS_CACERT to the certificate '
            "authority that signed the server's certificate.",
        ) from None
    except (ksa.ConnectionError, ksa.DiscoveryFailure) as error:
        raise errors.Unreachable(
            f'No answer from {name} or Keystone: {keystone.cause_of(error)}',
            f'Check that {name} runs, that its endpoint and auth_url are '
            'right ("openstack catalog list"), and that no firewall blocks '
            'them.',
        ) from None
    except (ksa.Unauthorized, ksa.InvalidResponse) as error:
        raise errors.Unauthorized(
            f'Keystone does not accept the credentials: '
            f'{keystone.cause_of(error)}',
            _CREDENTIALS,
        ) from None
    except ksa.CatalogException:
        raise errors.Misconfigured(
            f'The service catalogue has no endpoint of {name}',
            'Check the region and the interface against "openstack catalog '
            'list".',
        ) from None
    except ksa.ClientException as error:
        raise errors.Misconfigured(
            f'Cannot authenticate: {keystone.cause_of(error)}', _CREDENTIALS
        ) from None
