# SPDX-License-Identifier: Apache-2.0
"""``rpm_install.py WHEELS ROOT``: what Fedora's %pyproject_install does."""

import pathlib
import sys
import sysconfig

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

wheels, root = map(pathlib.Path, sys.argv[1:])
[path] = wheels.glob('*.whl')
# Debian's own scheme is another.
scheme = sysconfig.get_paths('posix_prefix', {'base': '/usr'})
scheme['headers'] = '/usr/include'
with WheelFile.open(path) as wheel:
    install(
        wheel,
        SchemeDictionaryDestination(
            scheme, '/usr/bin/python3', 'posix', destdir=str(root)
        ),
        {},
    )
