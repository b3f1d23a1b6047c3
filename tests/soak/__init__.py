# SPDX-License-Identifier: Apache-2.0
"""The filter for a long time under all that can go wrong: ``tox -e soak``."""

# Chooses the kind of threads, so it comes before all else.
import tests.functional  # noqa: F401
