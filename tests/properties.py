# SPDX-License-Identifier: Apache-2.0
"""How property tests run; importing it is enough.

They run the same few examples each time, so that nobody's change fails over
what chance found. ``HYPOTHESIS_PROFILE=thorough`` looks for more, anew in each
run.
"""

import os

import hypothesis

# On a busy machine any example may take long; that is no failure.
PATIENT = hypothesis.settings(
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    'normal', PATIENT, max_examples=50, derandomize=True, database=None
)
hypothesis.settings.register_profile('thorough', PATIENT, max_examples=1000)
hypothesis.settings.load_profile(
    os.environ.get('HYPOTHESIS_PROFILE', 'normal')
)
