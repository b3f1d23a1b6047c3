# SPDX-License-Identifier: Apache-2.0
"""The functions of DevStack that a plug-in calls, with the same contract.

``devstack.py FUNCTION FILE SECTION OPTION [VALUE...]`` is one of those of
DevStack's ``inc/ini-config``: ``iniset`` replaces each value of an option or
adds one, ``iniadd`` adds values, and both make the section; ``iniget`` prints
the last value and ``iniget_multiline`` all of them, with single spaces between
words.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence

ROOT = pathlib.Path(__file__).parents[2]
PLUGIN = ROOT / 'devstack'

# stack.sh runs with errexit, and it sources settings once and plugin.sh for
# each phase.
RUN = r"""
set -o errexit
for name in iniset iniadd iniget iniget_multiline; do
    eval "function $name { \"$PYTHON\" -S \"$FAKE\" $name \"\$@\"; }"
done
function is_service_enabled {
    local service
    for service in "$@"; do
        [[ ,$ENABLED_SERVICES, == *,$service,* ]] && return 0
    done
    return 1
}
function note { echo "$*" >>"$CALLS"; }
function setup_develop { note setup_develop "$@"; }
function sudo { note sudo "${@##*/}"; "$@"; }
source "$PLUGIN/settings"
source "$PLUGIN/plugin.sh" "$@"
echo done >>"$CALLS"
"""


class _Ini:
    """Sections as lists of lines, in their order."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    def __str__(self) -> str:
        return ''.join(f'{line}\n' for line in self._lines)

    def _numbers(self, section: str, option: str) -> list[int]:
        """Of the lines that set an option."""
        inside, numbers = False, []
        for number, line in enumerate(self._lines):
            if line.startswith('['):
                inside = line.strip() == f'[{section}]'
            elif inside and line.partition('=')[0].strip() == option:
                numbers.append(number)
        return numbers

    def values(self, section: str, option: str) -> list[str]:
        return [
            self._lines[number].partition('=')[2].strip()
            for number in self._numbers(section, option)
        ]

    def set(self, section: str, option: str, value: str) -> None:
        """Replace each value of an option where it stands, or add it."""
        numbers = self._numbers(section, option)
        for number in numbers:
            self._lines[number] = f'{option} = {value}'
        if not numbers:
            self.write(section, option, [value])

    def write(self, section: str, option: str, values: Sequence[str]) -> None:
        """Replace all values of an option."""
        for number in reversed(self._numbers(section, option)):
            del self._lines[number]
        if f'[{section}]' not in self._lines:
            self._lines += ['', f'[{section}]']
        after = self._lines.index(f'[{section}]') + 1
        self._lines[after:after] = [f'{option} = {each}' for each in values]


def call(
    function: str, file: str, section: str, option: str, *values: str
) -> None:
    """One of DevStack's functions for files of configuration."""
    path = pathlib.Path(file)
    ini = _Ini(path.read_text())
    present = ini.values(section, option)
    if function == 'iniset':
        ini.set(section, option, *values)
    elif function == 'iniadd':
        words = ' '.join([*present, *values]).split()
        ini.write(section, option, words)
    elif function == 'iniget':
        print(' '.join(''.join(present[-1:]).split()))
    elif function == 'iniget_multiline':
        print(' '.join(' '.join(present).split()))
    else:
        raise LookupError(function)
    if function.startswith(('iniset', 'iniadd')):
        path.write_text(str(ini))


def run_phase(
    *phase: str, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run one phase of the plug-in, as stack.sh does.

    :param variables: those of DevStack, ``PATH``, and ``CALLS``, a file for
        the names and arguments of what the plug-in calls
    """
    return subprocess.run(
        ['bash', '-c', RUN, 'stack.sh', *phase],
        cwd=ROOT,
        env={'PYTHON': sys.executable, 'FAKE': __file__}
        | {'PLUGIN': str(PLUGIN)}
        | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == '__main__':
    call(*sys.argv[1:])
