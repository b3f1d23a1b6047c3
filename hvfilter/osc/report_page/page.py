# SPDX-License-Identifier: Apache-2.0
"""One HTML file out of the parts in ``assets`` and the data.

The page loads nothing: its Content-Security-Policy permits exactly the style
and the script that are in it, by their digests, and no connection.

Source: Content Security Policy Level 3, sections 2.3.1 (hash sources) and 3.3
(the meta element); HTML, "The script element", which executes no script whose
type is ``application/json``, and 13.1.2.1, by which only ``</`` or ``<!--``
could end or change what is inside of a script element.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import string
from collections.abc import Mapping
from importlib import resources
from typing import Any

SCRIPTS = (
    'dom.js',
    'fleet.js',
    'selection.js',
    'chart.js',
    'details.js',
    'matrix.js',
    'main.js',
)
"""In the order in which they need each other."""


def render(content: Mapping[str, Any]) -> str:
    """The page of :func:`hvfilter.osc.report_page.content.document`.

    The same content gives the same page.
    """
    style = _asset('page.css')
    script = '\n'.join(
        ["'use strict';", '(() => {', *map(_asset, SCRIPTS), '})();', '']
    )
    policy = (
        "default-src 'none'; "
        f"script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return string.Template(_asset('page.html')).substitute(
        policy=policy,
        title=html.escape(str(content['title'])),
        style=style,
        data=embedded(content),
        script=script,
    )


def embedded(content: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element, in ASCII."""
    text = json.dumps(content, separators=(',', ':'))
    for char in '<>&':
        text = text.replace(char, f'\\u{ord(char):04x}')
    return text


def _asset(name: str) -> str:
    file = resources.files(__package__) / 'assets' / name
    return file.read_text('utf-8')


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f'sha256-{base64.b64encode(digest).decode()}'
