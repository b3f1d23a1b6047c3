# SPDX-License-Identifier: Apache-2.0
"""Model-specific registers, as a firmware would have set them."""

import pathlib
import struct


def set_bits(bits):
    """Set bits of registers on all processors: index and mask."""
    for index, mask in bits:
        for path in pathlib.Path('/dev/cpu').glob('[0-9]*/msr'):
            with open(path, 'r+b', buffering=0) as file:
                file.seek(index)
                (value,) = struct.unpack('<Q', file.read(8))
                file.seek(index)
                file.write(struct.pack('<Q', value | mask))
