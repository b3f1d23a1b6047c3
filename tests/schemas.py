# SPDX-License-Identifier: Apache-2.0
"""Validation by a schema of the project, with any jsonschema."""

from collections.abc import Mapping
from typing import Any

import jsonschema


def validator(
    schema: Mapping[str, Any],
) -> jsonschema.Draft202012Validator:
    """What validates by a schema.

    Its ``$id`` is left out: before 4.18, jsonschema resolves no reference
    within a document whose id is a URN.
    """
    return jsonschema.Draft202012Validator(
        {name: value for name, value in schema.items() if name != '$id'}
    )
