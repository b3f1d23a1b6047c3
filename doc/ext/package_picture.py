# SPDX-License-Identifier: Apache-2.0
"""The packages of hvfilter and who imports whom, as a picture."""

from __future__ import annotations

import ast
import collections
import pathlib
from collections.abc import Iterator

import hvfilter

ROOT = pathlib.Path(hvfilter.__file__).parent

LAYERS = (
    ('cli', 'scheduler', 'osc'),
    ('publish', 'report'),
    ('placement',),
    ('probes',),
    ('rules',),
    ('host',),
    ('model',),
)
"""Top first; those of one layer know nothing of each other. ``pyproject.toml``
holds imports to it."""

_WIDE, _HIGH, _ACROSS, _DOWN = 150, 46, 210, 100


def imports() -> dict[tuple[str, str], int]:
    """How many modules of one package import from another."""
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    for path in sorted(ROOT.rglob('*.py')):
        package = path.relative_to(ROOT).parts[0]
        found.update(
            (package, other)
            for other in set(_imported(ast.parse(path.read_text())))
            if other != package and (ROOT / other).is_dir()
        )
    return {
        pair: count
        for pair, count in found.items()
        if (ROOT / pair[0]).is_dir()
    }


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition('.')
            if first == 'hvfilter' and rest:
                yield rest.split('.')[0]


def picture() -> str:
    """The packages as boxes in their layers, and an arrow for each import.

    The line is the wider the more modules import; its title counts them.
    """
    places = {
        name: (
            40 + _ACROSS * (column + (3 - len(layer)) / 2),
            20 + _DOWN * row,
        )
        for row, layer in enumerate(LAYERS)
        for column, name in enumerate(layer)
        if (ROOT / name).is_dir()
    }
    width, height = 80 + 3 * _ACROSS, 20 + _DOWN * len(LAYERS)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {width} {height}" style="max-width: {width}px">',
        '<title>Packages of hvfilter and their imports</title>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#777"/></marker></defs>',
    ]
    for (one, other), count in sorted(imports().items()):
        if one in places and other in places:
            (x, y), (to_x, to_y) = places[one], places[other]
            lines.append(
                f'<line x1="{x + _WIDE / 2}" y1="{y + _HIGH}" '
                f'x2="{to_x + _WIDE / 2}" y2="{to_y}" stroke="#777" '
                f'stroke-width="{min(1 + count / 8, 4)}" '
                f'marker-end="url(#tip)"><title>{count} modules of {one} '
                f'import {other}</title></line>'
            )
    for name, (x, y) in places.items():
        lines += [
            f'<rect x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}" rx="6" '
            'fill="#eef3fb" stroke="#34558b"/>',
            f'<text x="{x + _WIDE / 2}" y="{y + 29}" text-anchor="middle" '
            f'font-family="sans-serif" font-size="16" fill="#123">{name}'
            '</text>',
        ]
    return '\n'.join([*lines, '</svg>'])
