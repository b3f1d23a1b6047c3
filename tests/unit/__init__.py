# SPDX-License-Identifier: Apache-2.0
"""Unit tests: no network, no Nova, and no other host than this one."""

import hypothesis

# On a busy machine any example may take long; that is no failure.
hypothesis.settings.register_profile(
    'busy',
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile('busy')
