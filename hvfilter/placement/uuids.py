# SPDX-License-Identifier: Apache-2.0
"""The uuids in a list of resource providers, without parsing the rest.

Placement describes each provider in some 800 bytes, of which 36 are needed.
Parsing all of it takes seconds for tens of thousands of providers and blocks
all other green threads.

Source: placement ``handlers/resource_provider.py``, ``_serialize_provider``.
"""

from __future__ import annotations

import re
import time

_UUID = re.compile(
    rb'"uuid":\s?"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"'
)
_BEGIN = re.compile(rb'\s*\{\s*"resource_providers":\s*\[')
_END = re.compile(rb'\]\s*\}\s*\]\s*\}\s*\Z')
_EMPTY = re.compile(_BEGIN.pattern + rb'\s*\]\s*\}\s*\Z')
_LONGEST_END = 64
_AT_ONCE = 1_000


def extract(body: bytes) -> list[str] | None:
    """The uuids, in the order given; None if the text has another form.

    Within a JSON text a quotation mark in a value is preceded by a backslash,
    so a name cannot look like the key. Each provider has one generation: as
    many are counted as uuids, else the text is not what it seems. Its end is
    that of the links of a provider and of the list, so none was cut off.
    """
    if _EMPTY.match(body):
        return []
    if not _BEGIN.match(body) or not _END.search(body[-_LONGEST_END:]):
        return None
    uuids = []
    for number, match in enumerate(_UUID.finditer(body), 1):
        uuids.append(match.group(1).decode('ascii'))
        if number % _AT_ONCE == 0:
            # Lets other green threads run.
            time.sleep(0)
    return uuids if body.count(b'"generation":') == len(uuids) else None
