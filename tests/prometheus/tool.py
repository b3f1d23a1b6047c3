# SPDX-License-Identifier: Apache-2.0
"""The rules, their tests, and Prometheus' own tool for both."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Container
from typing import Any

import yaml

ROOT = pathlib.Path(__file__).parents[2]
RULES = ROOT / 'etc/prometheus/hvfilter.rules.yml'
TESTS = tuple(sorted(pathlib.Path(__file__).parent.glob('*.yml')))
_ALERT = re.compile(r'alertname="(\w+)"')
PROMTOOL = shutil.which('promtool')
MISSING = 'needs promtool (Debian: prometheus)'


def rules(kind: str, text: str | None = None) -> list[dict[str, Any]]:
    """Those of a kind: 'alert' or 'record'."""
    parsed = yaml.safe_load(RULES.read_text() if text is None else text)
    return [
        rule
        for group in parsed['groups']
        for rule in group['rules']
        if kind in rule
    ]


def promtool(
    *arguments: object, given: bytes = b''
) -> subprocess.CompletedProcess[str]:
    """Run it; it must be installed.

    :param given: its standard input
    """
    assert PROMTOOL is not None, MISSING
    return subprocess.run(
        [PROMTOOL, *map(str, arguments)],
        input=given.decode(),
        capture_output=True,
        text=True,
        check=False,
    )


def fails_with(
    changed: str, test: pathlib.Path, names: Container[str] = ()
) -> bool:
    """Whether a test notices that the rules are these instead.

    :param names: the alerts and records to keep, and what is expected of
        them, so that it takes less time; empty: all
    """
    whole = yaml.safe_load(changed)
    # As text: "0x60" is a zero and sixty more, and no hexadecimal number.
    tests = yaml.load(test.read_text(), yaml.BaseLoader)
    if names:
        for group in whole['groups']:
            group['rules'] = [
                rule
                for rule in group['rules']
                if rule.get('alert', rule.get('record')) in names
            ]
        for each in tests['tests']:
            _restrict(each, names)
    for each in tests['tests']:
        for queried in each.get('promql_expr_test', ()):
            queried['exp_samples'] = [
                {**sample, 'value': float(sample['value'])}
                for sample in queried.get('exp_samples', ())
            ]
    with tempfile.TemporaryDirectory() as folder:
        mutant = pathlib.Path(folder) / RULES.name
        mutant.write_text(yaml.safe_dump(whole, sort_keys=False))
        copy = pathlib.Path(folder) / test.name
        copy.write_text(yaml.safe_dump({**tests, 'rule_files': [RULES.name]}))
        return promtool('test', 'rules', copy).returncode != 0


def _restrict(test: dict[str, Any], names: Container[str]) -> None:
    test['alert_rule_test'] = [
        each
        for each in test.get('alert_rule_test', ())
        if each['alertname'] in names
    ]
    for each in test.get('promql_expr_test', ()):
        each['exp_samples'] = [
            sample
            for sample in each.get('exp_samples', ())
            if _ALERT.findall(sample['labels'])[0] in names
        ]
