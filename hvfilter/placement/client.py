# SPDX-License-Identifier: Apache-2.0
"""A thin client of Placement's REST API: only what traits need.

One method makes one request, with the lowest microversion that suffices, so
that every Placement since Queens (2018) serves it and no discovery request is
needed: an older Placement responds with 406.

Nothing here retries; :mod:`hvfilter.placement.reconcile` does. Responses are
checked before they become values.

Source: Placement API reference; placement ``handlers/trait.py``,
``handlers/resource_provider.py``, ``rest_api_version_history.rst``.
"""

from __future__ import annotations

import dataclasses
import json
import re
import urllib.parse
import uuid as uuidlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from hvfilter.model.plain import plain
from hvfilter.placement import errors, uuids

#: First microversions of what is used here.
TRAITS = '1.6'
ROOTS = '1.14'
REQUIRED = '1.18'
FORBIDDEN = '1.22'
ANY_OF = '1.39'

_TRAIT = re.compile(r'[A-Z0-9_]{1,255}\Z')
_CUSTOM = re.compile(r'CUSTOM_[A-Z0-9_]{1,248}\Z')
_LONGEST_QUOTE = 300
_LONGEST_WAIT_S = 3600


@dataclasses.dataclass(frozen=True)
class Response:
    """One HTTP response.

    :param status: the HTTP status.
    :param headers: header names in lower case, and their values.
    :param body: the bytes as received, after content decoding.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Sends requests to Placement.

    An implementation adds the endpoint, the token, TLS and a timeout. It
    follows no redirection (the token would travel with it), and turns its
    library's failures into :class:`~hvfilter.placement.errors.Unreachable`,
    ``Unauthorized`` or ``Misconfigured``; an HTTP status is never an error
    at this level.
    """

    def request(
        self,
        method: str,
        path: str,
        *,
        microversion: str,
        body: Mapping[str, Any] | None = None,
    ) -> Response:
        """Send one request and return its response.

        :param method: ``GET``, ``PUT`` or ``DELETE``.
        :param path: path and query below the endpoint, with leading slash,
            already quoted.
        :param microversion: as in ``1.6``.
        :param body: what to send as JSON.
        :raises hvfilter.placement.errors.PlacementError: no response came.
        """


@dataclasses.dataclass(frozen=True)
class Provider:
    """A resource provider.

    :param uuid: in canonical form, lower case.
    :param name: as its creator named it; nova-compute uses the hypervisor's
        host name.
    """

    uuid: str
    name: str


@dataclasses.dataclass(frozen=True)
class ProviderTraits:
    """The traits of one provider, and the generation they were read at."""

    uuid: str
    generation: int
    traits: frozenset[str]


class PlacementClient:
    """Placement, as far as traits are concerned.

    Holds no state of its own, so it is as thread-safe as its transport.
    Every method raises :class:`~hvfilter.placement.errors.PlacementError`.

    :ivar transport: the way to Placement
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def provider(self, uuid: str) -> Provider:
        """Return the provider of that uuid; ``NotFound`` if none has it."""
        uuid = canonical_uuid(uuid)
        body = self._read(
            f'/resource_providers/{uuid}', TRAITS, f'resource provider {uuid}'
        )
        return _provider(body, f'resource provider {uuid}')

    def provider_named(self, name: str) -> Provider:
        """Return the provider of exactly that name, else ``NotFound``."""
        about = f'resource provider named {name!r}'
        providers = self._providers({'name': name}, TRAITS, about)
        for provider in providers:
            if provider.name == name:
                return provider
        raise errors.NotFound(
            f'Placement has no {about}',
            'nova-compute creates it at its first start, under the name '
            'shown by "openstack hypervisor list"; set the uuid or the name '
            'if it differs from this.',
        )

    def root_providers(self) -> tuple[Provider, ...]:
        """Return every provider that is the root of its tree."""
        about = 'resource providers'
        body = self._read('/resource_providers', ROOTS, about)
        return tuple(
            provider
            for provider, item in zip(
                _listed(body, about), body['resource_providers'], strict=True
            )
            if item.get('root_provider_uuid') == item['uuid']
        )

    def providers_with(
        self, *, required: Iterable[str], forbidden: Iterable[str] = ()
    ) -> tuple[Provider, ...]:
        """Return the providers that have these traits themselves.

        :param required: each of these; at least one.
        :param forbidden: none of these.
        :raises errors.UnknownTrait: Placement does not know one of the names.
        """
        names = [_trait(name) for name in sorted(required)]
        excluded = ['!' + _trait(name) for name in sorted(forbidden)]
        return self._providers(
            {'required': ','.join(names + excluded)},
            FORBIDDEN if excluded else REQUIRED,
            'resource providers by trait',
        )

    def uuids_with(self, trait: str) -> frozenset[str]:
        """Return the uuids of the providers that have a trait themselves.

        As :meth:`providers_with`, for many thousand providers.

        :raises errors.UnknownTrait: Placement does not know the name.
        """
        return self._uuids(f'required={_trait(trait)}', REQUIRED)

    def uuids_with_any(
        self, names: Iterable[str], *, without: Iterable[str] = ()
    ) -> frozenset[str]:
        """Return the uuids of the providers that have any of these traits.

        As :meth:`providers_with`, for many thousand providers. Needs
        microversion 1.39 (Placement of Yoga, 2022).

        :param without: exclude those that have one of these.
        :raises errors.UnknownTrait: Placement does not know one of the names.
        """
        query = 'required=in:' + ','.join(_trait(name) for name in names)
        excluded = ','.join(f'!{_trait(name)}' for name in without)
        if excluded:
            query += f'&required={excluded}'
        return self._uuids(query, ANY_OF)

    def uuids_like(
        self, required: Iterable[str], forbidden: Iterable[str]
    ) -> frozenset[str]:
        """Return the uuids of the providers that carry traits themselves.

        As :meth:`providers_with`, for many thousand providers. Needs
        microversion 1.22 (Placement of Rocky, 2018).

        :param required: each of these.
        :param forbidden: none of these.
        :raises errors.UnknownTrait: Placement does not know one of the names.
        """
        listed = [_trait(name) for name in sorted(required)]
        listed += ['!' + _trait(name) for name in sorted(forbidden)]
        return self._uuids(f'required={",".join(listed)}', FORBIDDEN)

    def _uuids(self, query: str, version: str) -> frozenset[str]:
        about = 'resource providers by trait'
        path = f'/resource_providers?{query}'
        response = self._send('GET', path, version, about)
        names = uuids.extract(response.body)
        if names is None:
            listed = _listed(json_object(response, about), about)
            names = [provider.uuid for provider in listed]
        return frozenset(names)

    def traits_of(self, uuid: str) -> ProviderTraits:
        """Return the traits of a provider with its generation."""
        uuid = canonical_uuid(uuid)
        about = f'traits of resource provider {uuid}'
        body = self._read(f'/resource_providers/{uuid}/traits', TRAITS, about)
        return _provider_traits(uuid, body, about)

    def set_traits(
        self, uuid: str, generation: int, traits: Iterable[str]
    ) -> ProviderTraits:
        """Replace the whole set of traits of a provider.

        :param generation: as it was read together with the set that this
            one was made from.
        :raises errors.Conflict: the provider changed since; read again.
        :raises errors.UnknownTrait: create these names first; nothing was
            changed.
        """
        uuid = canonical_uuid(uuid)
        about = f'traits of resource provider {uuid}'
        response = self._send(
            'PUT',
            f'/resource_providers/{uuid}/traits',
            TRAITS,
            about,
            body={
                'resource_provider_generation': generation,
                'traits': sorted(_trait(name) for name in traits),
            },
        )
        return _provider_traits(uuid, json_object(response, about), about)

    def traits_known(
        self, prefix: str, *, carried: bool = False
    ) -> frozenset[str]:
        """Return the trait names in Placement with this prefix.

        :param carried: only those that some provider has.
        """
        about = f'trait names beginning with {prefix}'
        query = f'name=startswith:{_trait(prefix)}'
        if carried:
            query += '&associated=true'
        return _names(self._read(f'/traits?{query}', TRAITS, about), about)

    def ensure_trait(self, name: str) -> bool:
        """Create a trait name; no effect if it exists.

        :returns: whether it was new.
        """
        response = self._send(
            'PUT', f'/traits/{_custom(name)}', TRAITS, f'trait {name}'
        )
        return response.status == 201

    def delete_trait(self, name: str) -> None:
        """Delete a trait name.

        :raises errors.Conflict: a provider still has it.
        :raises errors.NotFound: it does not exist.
        """
        self._send(
            'DELETE', f'/traits/{_custom(name)}', TRAITS, f'trait {name}'
        )

    def _providers(
        self, query: Mapping[str, str], version: str, about: str
    ) -> tuple[Provider, ...]:
        encoded = urllib.parse.urlencode(query, safe=':,!')
        path = f'/resource_providers?{encoded}'
        body = self._read(path, version, about)
        return _listed(body, about)

    def _read(self, path: str, version: str, about: str) -> dict[str, Any]:
        return json_object(self._send('GET', path, version, about), about)

    def _send(
        self,
        method: str,
        path: str,
        version: str,
        about: str,
        *,
        body: Mapping[str, Any] | None = None,
    ) -> Response:
        response = self.transport.request(
            method, path, microversion=version, body=body
        )
        if 200 <= response.status < 300:
            return response
        raise _error(method, response, version, about)


def read_json(
    transport: Transport, path: str, version: str, about: str
) -> dict[str, Any]:
    """The JSON object of one request that reads.

    :param about: what it is about, for an error
    :raises errors.PlacementError: there is none
    """
    return PlacementClient(transport)._read(path, version, about)


def _listed(body: Mapping[str, Any], about: str) -> tuple[Provider, ...]:
    listed = body.get('resource_providers')
    if not isinstance(listed, list):
        raise _misshapen(about, '"resource_providers" is not a list')
    return tuple(_provider(item, about) for item in listed)


def canonical_uuid(text: str) -> str:
    """Return a uuid in the form Placement uses in its URLs.

    :raises ValueError: it is none.
    """
    try:
        return str(uuidlib.UUID(text))
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f'{text!r} is not a uuid') from None


def _trait(name: str) -> str:
    if not _TRAIT.match(name):
        raise ValueError(
            f'{name!r} is not a trait name: A to Z, 0 to 9 and _ only'
        )
    return name


def _custom(name: str) -> str:
    if not _CUSTOM.match(name):
        raise ValueError(f'{name!r} is not the name of a custom trait')
    return name


def _json(response: Response) -> Any:
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        return None


def json_object(response: Response, about: str) -> dict[str, Any]:
    """The JSON object that a response is.

    :param about: what it is about, for an error
    :raises errors.BadAnswer: it is none
    """
    value = _json(response)
    if value is None:
        kind = response.headers.get('content-type', 'no content type')
        raise _misshapen(
            about, f'{len(response.body)} bytes of {kind[:60]!r} are not JSON'
        )
    if not isinstance(value, dict):
        raise _misshapen(about, 'the JSON is not an object')
    return value


def _misshapen(about: str, why: str) -> errors.BadAnswer:
    return errors.BadAnswer(
        f'The response about {about} is not from Placement: {why}',
        'Check that the endpoint is that of Placement and that no proxy in '
        'front of it rewrites or truncates responses.',
    )


def _generation(value: Any, about: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _misshapen(about, 'the generation is not an integer')
    return value


def _provider(item: Any, about: str) -> Provider:
    if not isinstance(item, dict):
        raise _misshapen(about, 'a resource provider is not an object')
    uuid, name = item.get('uuid'), item.get('name')
    if not isinstance(uuid, str) or not isinstance(name, str):
        raise _misshapen(about, 'a resource provider lacks uuid or name')
    try:
        return Provider(canonical_uuid(uuid), name)
    except ValueError as error:
        raise _misshapen(about, str(error)) from None


def _names(body: Mapping[str, Any], about: str) -> frozenset[str]:
    names = body.get('traits')
    if not isinstance(names, list) or not all(
        isinstance(name, str) and _TRAIT.match(name) for name in names
    ):
        raise _misshapen(about, '"traits" is not a list of trait names')
    return frozenset(names)


def _provider_traits(
    uuid: str, body: Mapping[str, Any], about: str
) -> ProviderTraits:
    generation = _generation(body.get('resource_provider_generation'), about)
    return ProviderTraits(uuid, generation, _names(body, about))


def _first_error(response: Response) -> dict[str, Any] | None:
    """Placement's own description of an error, None without one."""
    value = _json(response)
    listed = value.get('errors') if isinstance(value, dict) else None
    if isinstance(listed, list) and listed and isinstance(listed[0], dict):
        return listed[0]
    return None


def _quote(text: Any) -> str:
    """A server's text as one short line."""
    if not isinstance(text, str):
        return ''
    return plain(' '.join(text.split())[:_LONGEST_QUOTE])


def retry_after_s(response: Response) -> float | None:
    """The Retry-After header in seconds, None without a usable one."""
    text = response.headers.get('retry-after', '').strip()
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        return None
    return float(min(int(text), _LONGEST_WAIT_S))


def without_secrets(url: str) -> str:
    """Return a URL fit for a log: no user, password, query or fragment."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ''
        if ':' in host:
            host = f'[{host}]'
        if parts.port is not None:
            host = f'{host}:{parts.port}'
    except ValueError:
        return '(a malformed URL)'
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, '', ''))


def _error(
    method: str, response: Response, version: str, about: str
) -> errors.PlacementError:
    status = response.status
    error = _first_error(response)
    text = error.get('detail') if error else ''
    detail = _quote(text)
    quote = f' ({detail})' if detail else ''
    if 300 <= status < 400:
        target = without_secrets(response.headers.get('location', ''))
        return errors.BadAnswer(
            f'Placement redirects requests for {about} to '
            f'{target or "nowhere"} (HTTP {status})',
            'Redirects are not followed, since the token would be sent '
            'there. If the new URL is right, register it in the service '
            'catalogue or set [placement] endpoint_override to it.',
        )
    if status == 401:
        return errors.Unauthorized(
            f'Placement rejected the token for {about} (HTTP 401)',
            'Check the user, password and project in [placement], and that '
            "Placement's [keystone_authtoken] names the same Keystone.",
        )
    if status == 403:
        return errors.Forbidden(
            f'Placement does not allow {method} of {about} (HTTP 403){quote}',
            'Give the user the role "service" or "admin" in its project, as '
            "Placement's policy requires.",
        )
    if status == 404:
        if error is None:
            return errors.BadAnswer(
                f'HTTP 404 for {about}, but the response is not from '
                'Placement',
                'The endpoint seems to be that of another service: check it '
                'in the service catalogue, or set [placement] '
                'endpoint_override.',
            )
        return errors.NotFound(
            f'Not found in Placement: {about}{quote}',
            'For a resource provider: nova-compute creates it at its first '
            'start; see "openstack resource provider list".',
        )
    if status == 406:
        offered = _quote(error.get('max_version')) if error else ''
        return errors.TooOld(
            f'Placement does not serve microversion {version}, needed for '
            f'{about}'
            + (f'; it ends at {offered}' if offered else '')
            + ' (HTTP 406)',
            'Upgrade Placement, or check that the endpoint is that of '
            'Placement.',
        )
    if status == 409:
        return errors.Conflict(
            f'Placement rejected {method} of {about} (HTTP 409){quote}',
            'Another client changed it or uses it: read it again.',
        )
    if status == 429 or status >= 500:
        after = retry_after_s(response)
        return errors.Unavailable(
            f'Placement is unavailable for {method} of {about} '
            f'(HTTP {status}){quote}',
            'Retry later; if it persists, see the logs of Placement and of '
            'the load balancer in front of it.',
            status=status,
            retry_after_s=after,
        )
    unknown = (
        re.search(r'No such trait(?:\(s\))?:?\s+(.*)', text)
        if isinstance(text, str)
        else None
    )
    if status == 400 and unknown:
        return errors.UnknownTrait(
            f'A request for {about} names unknown traits{quote}',
            'Create them first with "hvfilter prepare" or "openstack trait '
            'create".',
            traits=frozenset(
                re.findall(r'[A-Z0-9_]{2,255}', unknown.group(1))
            ),
        )
    return errors.Rejected(
        f'Placement rejected {method} of {about} (HTTP {status}){quote}',
        'This is a bug in hvfilter or in a proxy in front of Placement: '
        'report it with this line.',
    )
