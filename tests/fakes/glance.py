# SPDX-License-Identifier: Apache-2.0
"""Glance's HTTP API over the images that Nova's fixture plays.

Nova reads them in this process; the ``openstack`` command reads them by HTTP.
"""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import requests

ENDPOINT = 'http://glance.invalid:9292'


def respond(images: list[dict[str, Any]], request: Any) -> requests.Response:
    """The answer to ``GET /v2/images`` or ``/v2/images/{id}``.

    :param images: as the fixture has them
    :param request: a ``requests.PreparedRequest``
    """
    url = urllib.parse.urlsplit(request.url)
    query = dict(urllib.parse.parse_qsl(url.query))
    shown = sorted(map(_flat, images), key=lambda each: each['id'])
    if url.path.endswith('/v2/images'):
        hidden = query.get('os_hidden', 'false')
        listed = [
            each
            for each in shown
            if each['os_hidden'] == hidden
            and each['id'] > query.get('marker', '')
        ]
        return _response(request, 200, {'images': listed})
    one = [each for each in shown if url.path.endswith(f'/{each["id"]}')]
    return _response(request, 200 if one else 404, one[0] if one else {})


def _flat(image: dict[str, Any]) -> dict[str, Any]:
    """Properties stand among the other keys in Glance's API."""
    return {
        'id': image['id'],
        'name': image['name'],
        'status': image['status'],
        'os_hidden': 'false',
        **image['properties'],
    }


def _response(request: Any, status: int, body: Any) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps(body).encode()
    response.headers['Content-Type'] = 'application/json'
    response.request, response.url = request, request.url
    return response
