# SPDX-License-Identifier: Apache-2.0
"""Build the documentation, the man pages and the release notes; check style.

Into doc/build and releasenotes/build. Exit code 1 if anything is not as it
should be: a warning counts.
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPHINX = (sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q', '-b')
PARTS = {
    'html': (*SPHINX, 'html', 'doc/source', 'doc/build/html'),
    'man': (*SPHINX, 'man', 'doc/source', 'doc/build/man'),
    'release notes': (
        *(*SPHINX, 'html', 'releasenotes/source', 'releasenotes/build/html'),
    ),
    'doc8': (
        *(sys.executable, '-m', 'doc8', '-q', '--config', 'pyproject.toml'),
        *('--ignore-path', 'doc/source/asking'),
        *('--ignore-path', 'doc/source/lab'),
        *('--ignore-path', 'doc/source/probe'),
        *('doc/source', 'README.rst', 'SECURITY.rst'),
    ),
}


def main() -> int:
    failed = False
    for name, command in PARTS.items():
        done = subprocess.run(command, cwd=ROOT, check=False)
        print(f'{name}: {"FAILED" if done.returncode else "ok"}', flush=True)
        failed = failed or bool(done.returncode)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
