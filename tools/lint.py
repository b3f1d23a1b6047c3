# SPDX-License-Identifier: Apache-2.0
"""Run every lint check, and show what those that fail have to say.

``lint.py [check...]``: all checks, or the named ones. Exit code 1 if one
fails. tox's pep8 environment and ``make test`` both come here, so that there
is one list.
"""

import concurrent.futures
import pathlib
import subprocess
import sys
import sysconfig

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTPUT_LINES = 200

SCRIPTS = pathlib.Path(sysconfig.get_path('scripts'))

CHECKS = {
    'ruff': ('ruff', 'check', '--output-format=concise', '.'),
    'format': ('ruff', 'format', '--check', '--output-format=concise', '.'),
    'hacking': ('flake8',),
    'mypy': ('mypy',),
    'layers': ('lint-imports',),
    'reno': ('reno', '-q', 'lint'),
}


def check(name: str) -> tuple[str, int, list[str]]:
    """Run one check: its name, exit code and what it printed."""
    program, *arguments = CHECKS[name]
    done = subprocess.run(
        [SCRIPTS / program, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return name, done.returncode, done.stdout.splitlines()


def lint(names: list[str]) -> list[str]:
    """Run the checks, two at a time, and return the names that failed."""
    failed = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for name, code, output in pool.map(check, names):
            print(f'lint {name}: {"ok" if code == 0 else "FAILED"}')
            if code == 0:
                continue
            failed.append(name)
            for line in output[:OUTPUT_LINES]:
                print(f'  {line}')
            if len(output) > OUTPUT_LINES:
                print(f'  ... and {len(output) - OUTPUT_LINES} lines more')
    return failed


def main() -> int:
    names = sys.argv[1:] or list(CHECKS)
    unknown = sorted(set(names) - set(CHECKS))
    if unknown:
        print(
            f'No check named {", ".join(unknown)}; '
            f'there are: {", ".join(CHECKS)}.',
            file=sys.stderr,
        )
        return 2
    return 1 if lint(names) else 0


if __name__ == '__main__':
    sys.exit(main())
