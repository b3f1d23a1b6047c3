# SPDX-License-Identifier: Apache-2.0
"""One thing that an operator should put right."""

from __future__ import annotations

import enum
from typing import NamedTuple

COLUMNS = ('Kind', 'Problem', 'Object', 'ID', 'Host', 'Finding', 'Remedy')


class Kind(enum.Enum):
    """Of the object; the values are frozen: scripts read them."""

    SERVER = 'server'
    FLAVOR = 'flavor'
    IMAGE = 'image'
    AGGREGATE = 'aggregate'
    PROVIDER = 'provider'
    TRAIT = 'trait'


class Problem(enum.Enum):
    """The values are frozen: scripts read them.

    MISPLACED: the filter would not put the server on its host.
    UNVERIFIED: likewise, but only since the host has no valid report.
    NO_HOST: no host of the cloud could take it.
    CONTRADICTION: no host of any cloud could.
    UNKNOWN_NAME: it names what neither hvfilter nor Placement knows.
    NO_EFFECT: it was meant for hvfilter, and nobody reads it.
    UNREPORTED, STALE: the host has no valid report.
    ORPHANED: no compute node belongs to it.
    MISSING: a compute node without resource provider.
    TWO_NAMES: one host under two names.
    NESTED_SETS: its hosts cannot exchange guests that use nested.
    NOBODYS: a trait name of no release that is here, or on no provider.
    """

    MISPLACED = 'misplaced'
    UNVERIFIED = 'unverified'
    NO_HOST = 'no host'
    CONTRADICTION = 'contradiction'
    UNKNOWN_NAME = 'unknown name'
    NO_EFFECT = 'no effect'
    UNREPORTED = 'unreported'
    STALE = 'stale'
    ORPHANED = 'orphaned'
    MISSING = 'missing'
    TWO_NAMES = 'two names'
    NOBODYS = 'nobody owns it'
    NESTED_SETS = 'nested sets differ'


class Row(NamedTuple):
    """A row of the output, in the order of :data:`COLUMNS`.

    :ivar name: of the object
    :ivar id: its uuid, '' where it has none
    :ivar host: the hypervisor's host name, '' where none is concerned
    """

    kind: str
    problem: str
    name: str
    id: str
    host: str
    finding: str
    remedy: str


def row(
    kind: Kind,
    problem: Problem,
    name: str,
    finding: str,
    remedy: str,
    *,
    uuid: str = '',
    host: str = '',
) -> Row:
    """A row from its parts."""
    return Row(kind.value, problem.value, name, uuid, host, finding, remedy)
