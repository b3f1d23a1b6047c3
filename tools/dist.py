# SPDX-License-Identifier: Apache-2.0
"""Build the source distribution and the wheel of this directory.

``dist.py [FOLDER]``, "dist" by default. It uses pbr and setuptools of this
environment and needs no network. Without git, name the version:
``PBR_VERSION=1.0.0 dist.py``. Earlier builds are removed from the folder, so
that ``hvfilter-*.whl`` is one file.
"""

import os
import pathlib
import sys

import pbr.build


def main() -> int:
    folder = pathlib.Path(*sys.argv[1:2] or ['dist']).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    remove_earlier(folder)
    # What a build says is for its author; errors are raised.
    kept = os.dup(1)
    os.dup2(2, 1)
    names = [build(str(folder)) for build in BUILDS]
    os.dup2(kept, 1)
    for name in names:
        print(folder / name)
    return 0


def remove_earlier(folder: pathlib.Path) -> None:
    for pattern in ('hvfilter-*.whl', 'hvfilter-*.tar.gz'):
        for path in folder.glob(pattern):
            path.unlink()


BUILDS = (pbr.build.build_sdist, pbr.build.build_wheel)

if __name__ == '__main__':
    sys.exit(main())
