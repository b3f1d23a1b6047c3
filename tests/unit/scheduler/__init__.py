# SPDX-License-Identifier: Apache-2.0
"""What nova-scheduler loads, on Nova's own objects."""

import importlib.util
import unittest

if importlib.util.find_spec('nova') is None:
    raise unittest.SkipTest('needs Nova: see functional-requirements.txt')
