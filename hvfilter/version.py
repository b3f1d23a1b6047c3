# SPDX-License-Identifier: Apache-2.0
"""The version of the installed package."""

from importlib import metadata


def version_string() -> str:
    """Return the version that the installed distribution states.

    A source tree that was never installed has no version: ``unknown``.
    """
    try:
        return metadata.version('hvfilter')
    except metadata.PackageNotFoundError:
        return 'unknown'
