# SPDX-License-Identifier: Apache-2.0
"""The guest that judges: a Debian kernel, and a userland that speaks.

It prints one line to its console as soon as it runs, with the uuid by which
Nova knows it. A guest that never executes prints nothing.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import pathlib

from tests.lab import cpio, debian, image

SPOKEN = 'GUEST SPEAKS:'
COMMAND_LINE = 'console=ttyS0 quiet panic=-1'
_SUITE = 'bookworm'

# "paravirtualized" is what the kernel itself calls what it found beneath.
_INIT = rf"""#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
beneath=$($b dmesg | $b grep -i -m1 -o 'hypervisor detected: .*')
model=$($b sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | $b head -n 1)
read up rest </proc/uptime
echo "{SPOKEN} I am $($b cat /sys/class/dmi/id/product_uuid)," \
    "booted in $up s, processor \"$model\", ${{beneath:-no hypervisor seen}}"
while :; do $b sleep 3600; done
"""


@dataclasses.dataclass(frozen=True)
class GuestImage:
    """What the machine boots from.

    :ivar kernel: a Linux with a serial console
    :ivar ramdisk: its first and only userland
    """

    kernel: pathlib.Path
    ramdisk: pathlib.Path


def build(folder: pathlib.Path) -> GuestImage:
    """Make it, of packages that stay for the next time.

    :param folder: for the ramdisk
    :raises debian.Missing: a package cannot be had
    """
    kernel = image.Images(image.FOLDER).kernel('amd64', '6.1')
    packages = debian.Apt(image.FOLDER, 'amd64', _SUITE)
    root = packages.unpacked(['busybox-static'])
    (busybox,) = root.glob('**/bin/busybox')
    archive = io.BytesIO()
    writer = cpio.Writer(archive)
    writer.file('bin/busybox', busybox.read_bytes(), 0o755)
    writer.file('init', _INIT.encode(), 0o755)
    for name in ('proc', 'sys', 'dev'):
        writer.folder(name)
    writer.close()
    ramdisk = folder / 'guest.cpio.gz'
    ramdisk.write_bytes(gzip.compress(archive.getvalue(), 1))
    return GuestImage(kernel, ramdisk)
