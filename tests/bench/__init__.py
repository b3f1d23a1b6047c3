# SPDX-License-Identifier: Apache-2.0
"""What the filter costs, beside Nova's own filters: ``tox -e bench``."""

# Chooses the kind of threads, so it comes before all else.
import tests.functional  # noqa: F401
