# SPDX-License-Identifier: Apache-2.0
"""Exit statuses of the commands, as the documentation lists them."""

from __future__ import annotations

import os

UNUSABLE = 2
"""Of commands about a host: wrong usage or input, or not determined."""

FAILED = 1
"""Of commands about Placement: it fails again until somebody fixes it."""

TRY_AGAIN = os.EX_TEMPFAIL
"""75: it failed for now, and the next run may well succeed."""

WRONG_USAGE = os.EX_USAGE
"""64: what ``check`` returns for wrong usage or unusable input."""
