# SPDX-License-Identifier: Apache-2.0
"""Unit tests: no network, no Nova, and no other host than this one."""

import tests.properties  # noqa: F401
