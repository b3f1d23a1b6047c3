# SPDX-License-Identifier: Apache-2.0
"""The catalogue as a table of reStructuredText. Needs no Sphinx."""

from __future__ import annotations

from hvfilter.model.catalogue import (
    CATALOGUE,
    REPORTED_TRAIT,
    Arch,
    Capability,
)

_OF_ANY = 'any'


def lines() -> list[str]:
    """Each row: key, name, where it can exist, meaning, stages, parameter."""
    found = [
        '.. list-table::',
        '   :header-rows: 1',
        '   :widths: 16 12 10 32 16 14',
        '',
        '   * - Capability',
        '     - Name',
        '     - Architecture',
        '     - Present means',
        '     - Stages',
        '     - Module parameter',
    ]
    for row in CATALOGUE:
        found += [
            f'   * - .. _capability-{row.key}:',
            '',
            f'       ``{row.key}``',
            f'     - {row.name}',
            f'     - {_archs(row)}',
            f'     - {row.meaning} ({row.source})',
            f'     - {_stages(row)}',
            f'     - {_parameter(row)}'.rstrip(),
        ]
    return [
        *found,
        f'   * - ``{REPORTED_TRAIT}``',
        '     -',
        f'     - {_OF_ANY}',
        '     - a marker: hvfilter probed this host. It separates "has it '
        'not" from "was never asked"',
        '     -',
        '     -',
    ]


def _archs(row: Capability) -> str:
    if row.archs == frozenset(Arch):
        return _OF_ANY
    archs = ', '.join(sorted(arch.value for arch in row.archs))
    makers = [vendor.makers for vendor in row.vendors]
    return f'{archs} of {makers[0]}' if len(makers) == 1 else archs


def _stages(row: Capability) -> str:
    """The decisive ones in bold."""
    return ', '.join(
        f'**{stage.value}**' if stage in row.decisive else stage.value
        for stage in row.stages
    )


def _parameter(row: Capability) -> str:
    if not row.parameter:
        return ''
    since = '.'.join(map(str, row.since))
    return f'``{row.module}.{row.parameter}``' + (
        f' (from Linux {since} on)' if any(row.since) else ''
    )
