# SPDX-License-Identifier: Apache-2.0
"""Read YAML files of nova-compute with bounds.

PyYAML takes seconds for a megabyte, and merge keys let a short text expand to
a mapping of any size.
"""

from __future__ import annotations

from typing import Any

import yaml

LIMIT = 256 << 10
"""Bytes of a text."""

_PAIRS_LIMIT = 10_000
"""Pairs that one mapping may get by merge keys."""

_MERGE = 'tag:yaml.org,2002:merge'


class NotYaml(ValueError):
    """A text that is not YAML or is too large; it is never quoted."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped
    def flatten_mapping(self, node: Any) -> None:
        """See ``yaml.constructor.SafeConstructor``: resolves merge keys."""
        pairs = 0
        for key, value in node.value:
            if key.tag != _MERGE:
                continue
            parts = value.value if value.id == 'sequence' else [value]
            for part in parts:
                if part.id != 'mapping':
                    break  # refused by the method that this one replaces
                self.flatten_mapping(part)
                pairs += len(part.value)
                if pairs > _PAIRS_LIMIT:
                    raise yaml.YAMLError
        super().flatten_mapping(node)


def load(raw: bytes) -> Any:
    """The value of a text.

    :raises NotYaml: see there
    """
    if len(raw) > LIMIT:
        raise NotYaml(f'it is larger than {LIMIT >> 10} KiB')
    try:
        # A SafeLoader.
        return yaml.load(raw, _Loader)  # noqa: S506  # nosec B506
    except (yaml.YAMLError, ValueError, RecursionError):
        # ValueError: a date with a thirteenth month, for instance.
        raise NotYaml('it is not valid YAML') from None
