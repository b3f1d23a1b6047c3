# SPDX-License-Identifier: Apache-2.0
"""Does a test notice each change of the rules?

``python -m tests.prometheus.mutants [ALERT...]`` changes one thing at a time
in the rules and runs the tests that name the alert: exit code 0 if one of them
fails each time. Takes some minutes.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterator
from typing import Any

import yaml

from tests.prometheus import tool

_COMPARED = re.compile(r'(?<=[<>=] )\d[\d.]*(?: \* \d+)?')
_MATCHER = re.compile(r'(\w+)(?:=~?|!=)"[^"]+",?')
_SWAPPED = {
    'and on': 'unless on',
    'unless on': 'and on',
    ' or ': ' unless ',
    ' > ': ' < ',
    ' < ': ' > ',
    ' == ': ' != ',
    ' <= ': ' > ',
}

Rule = dict[str, Any]


def mutants(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """What is changed in a rule, and the rule then."""
    if 'for' in rule:
        yield 'no "for"', {key: rule[key] for key in rule if key != 'for'}
        yield '"for" of a day', {**rule, 'for': '1d'}
    expr = rule['expr']
    for old, new in _SWAPPED.items():
        for found in re.finditer(re.escape(old), expr):
            yield (
                f'{old.strip()} at {found.start()}',
                {
                    **rule,
                    'expr': expr[: found.start()] + new + expr[found.end() :],
                },
            )
    for found in _COMPARED.finditer(expr):
        for factor in ('0.5 * ', '2 * '):
            if found[0] not in ('0', '1'):
                yield (
                    f'{factor}{found[0]}',
                    {
                        **rule,
                        'expr': expr[: found.start()]
                        + f'({factor}{found[0]})'
                        + expr[found.end() :],
                    },
                )
    for found in _MATCHER.finditer(expr):
        yield (
            f'without {found[0]}',
            {
                **rule,
                'expr': expr[: found.start()] + expr[found.end() :],
            },
        )


def changed(name: str) -> Iterator[tuple[str, str]]:
    """What is changed in an alert or a record, and all rules then."""
    whole = yaml.safe_load(tool.RULES.read_text())
    for group in whole['groups']:
        for place, rule in enumerate(group['rules']):
            if name not in (rule.get('alert'), rule.get('record')):
                continue
            for what, mutant in mutants(copy.deepcopy(rule)):
                group['rules'][place] = mutant
                yield what, yaml.safe_dump(whole, sort_keys=False)
            group['rules'][place] = rule


def main(names: list[str]) -> int:
    """Try them all: how many no test noticed."""
    survivors = tried = 0
    records = [rule['record'] for rule in tool.rules('record')]
    alerts = [rule['alert'] for rule in tool.rules('alert')]
    for name in names or (*alerts, *records):
        # An alert is noticed by itself, a record by any alert.
        kept = (*records, *(alerts if name in records else [name]))
        own = [
            each
            for each in tool.TESTS
            if name in each.read_text() or name in records
        ]
        for each in own:
            if tool.fails_with(tool.RULES.read_text(), each, kept):
                raise RuntimeError(f'{each.name} fails as it is')
        for what, text in changed(name):
            tried += 1
            if not any(tool.fails_with(text, each, kept) for each in own):
                survivors += 1
                print(f'NOT NOTICED  {name}: {what}', flush=True)
    print(f'{tried} changes, {survivors} not noticed')
    return 1 if survivors or not tried else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
