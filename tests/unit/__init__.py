# SPDX-License-Identifier: Apache-2.0
"""Unit tests: no network, no Nova, and no other host than this one."""

# Registers the profiles of hypothesis, so it comes before all tests.
import tests.properties  # noqa: F401
