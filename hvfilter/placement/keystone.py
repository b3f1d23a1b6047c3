# SPDX-License-Identifier: Apache-2.0
"""Requests to Placement through keystoneauth1.

Works with every adapter-like object of that library: its own ``Adapter``,
openstacksdk's ``Proxy``, and Nova's wrappers of either.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from keystoneauth1 import exceptions as ksa

from hvfilter.model.plain import plain
from hvfilter.placement import client, errors

_USERINFO = re.compile(r'(?<=//)[^\s/@]*@')
_OBJECT = re.compile(r'<[^<>]* object at 0x[0-9a-f]+>:? ?')
_CONNECTING = re.compile(r'Unable to establish connection to \S+(?=: )')
_LONGEST_QUOTE = 300


class Adapter(Protocol):
    """What is used of ``keystoneauth1.adapter.Adapter``."""

    def request(self, url: str, method: str, **kwargs: Any) -> Any:
        """Send a request and return a ``requests.Response``."""


class KeystoneTransport:
    """A :class:`~hvfilter.placement.client.Transport` over an adapter."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def request(
        self,
        method: str,
        path: str,
        *,
        microversion: str,
        body: Mapping[str, Any] | None = None,
    ) -> client.Response:
        """See :meth:`hvfilter.placement.client.Transport.request`."""
        more: dict[str, Any] = {} if body is None else {'json': dict(body)}
        with translate_errors():
            response = self._adapter.request(
                path,
                method,
                microversion=microversion,
                raise_exc=False,
                redirect=False,
                headers={'Accept': 'application/json'},
                **more,
            )
        return response_of(response)


def _refuse_cut(response: client.Response) -> None:
    """urllib3 before 2 takes a truncated response for a complete one."""
    length = response.headers.get('content-length', '')
    if 'content-encoding' in response.headers or not length.isdecimal():
        return
    if response.body and len(response.body) < int(length):
        raise errors.Unreachable(
            f'The connection to Placement ended after {len(response.body)} of '
            f'{length} bytes of a response',
            'Check that Placement and the load balancer in front of it are '
            'running.',
        )


def response_of(raw: Any) -> client.Response:
    """Convert a ``requests.Response``.

    :raises hvfilter.placement.errors.Unreachable: it is truncated.
    """
    headers = {
        str(name).lower(): str(value) for name, value in raw.headers.items()
    }
    response = client.Response(raw.status_code, headers, raw.content or b'')
    _refuse_cut(response)
    return response


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Turn keystoneauth1's exceptions into those of this package."""
    try:
        yield
    except ksa.SSLError as error:
        raise errors.Misconfigured(
            f'TLS to Placement or Keystone failed: {_harmless(error)}',
            'Set [placement] cafile to the certificate authority that signed '
            "the server's certificate, and check the host name in the "
            'endpoint and the clock of this host.',
        ) from None
    except ksa.ConnectionError as error:
        raise errors.Unreachable(
            f'No response from Placement or Keystone: {cause_of(error)}',
            'Check that the service is running, that the endpoint and '
            '[placement] auth_url are right, and that no firewall blocks '
            'them.',
        ) from None
    except ksa.DiscoveryFailure as error:
        raise errors.Unreachable(
            f'Keystone does not list its API versions: {_harmless(error)}',
            'Check [placement] auth_url and that Keystone is running.',
        ) from None
    except ksa.HttpError as error:
        raise _keystone_error(error) from None
    except ksa.CatalogException as error:
        raise errors.Misconfigured(
            'The service catalogue has no endpoint of Placement: '
            f'{_harmless(error)}',
            'Check [placement] region_name and valid_interfaces against '
            '"openstack endpoint list --service placement", or set '
            '[placement] endpoint_override.',
        ) from None
    except ksa.InvalidResponse as error:
        raise errors.BadAnswer(
            f'Keystone did not return a token: {_harmless(error)}',
            'Check that [placement] auth_url is that of Keystone.',
        ) from None
    except ksa.ClientException as error:
        raise errors.Misconfigured(
            f'Cannot authenticate: {_harmless(error)}',
            'Check the authentication options in [placement].',
        ) from None


def _keystone_error(error: Any) -> errors.PlacementError:
    status = error.http_status
    if status == 401:
        return errors.Unauthorized(
            'Keystone rejected the user, password or project (HTTP 401)',
            'Correct username, password, project_name and the domains in '
            '[placement], or in clouds.yaml if that is used.',
        )
    if status == 403:
        return errors.Forbidden(
            'Keystone does not allow this user to log in (HTTP 403)',
            'Check that the user and the project are enabled.',
        )
    if status == 429 or status >= 500:
        response = getattr(error, 'response', None)
        after = (
            client.retry_after_s(response_of(response))
            if response is not None
            else None
        )
        return errors.Unavailable(
            f'Keystone is unavailable (HTTP {status})',
            'Retry later; if it persists, see the Keystone logs.',
            status=status,
            retry_after_s=after,
        )
    return errors.Misconfigured(
        f'Keystone rejected the request (HTTP {status})',
        'Check that [placement] auth_url is that of Keystone.',
    )


def cause_of(error: Exception) -> str:
    """The operating system's message inside the libraries' wrappers."""
    text = _harmless(error)
    bottom = _bottom(error, frozenset())
    where = _CONNECTING.match(text)
    return f'{where[0]}: {bottom}' if where and bottom else text


def _bottom(error: BaseException, above: frozenset[int]) -> str:
    """The message of the innermost error of the operating system."""
    above |= {id(error)}
    within = (
        error.__cause__,
        error.__context__,
        getattr(error, 'reason', None),
        *error.args,
    )
    for each in within:
        if isinstance(each, BaseException) and id(each) not in above:
            text = _bottom(each, above)
            if text:
                return text
    # The library's own errors are OSErrors too, but have no number.
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror or ''
    return ''


def _harmless(error: Exception) -> str:
    """The text of an error in one short line, without credentials."""
    line = ' '.join(str(error).split())
    line = _OBJECT.sub('', _USERINFO.sub('', line))
    return plain(line[:_LONGEST_QUOTE]) or type(error).__name__
