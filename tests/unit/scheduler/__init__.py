# SPDX-License-Identifier: Apache-2.0
"""What nova-scheduler loads, on Nova's own objects."""

import importlib.util
import os
import unittest

if importlib.util.find_spec('nova') is None:
    raise unittest.SkipTest('needs Nova: see functional-requirements.txt')

# Importing the validators of extra specs would have releases before 33 turn
# the threads of the whole process green, those of other tests too.
os.environ.setdefault('OS_NOVA_DISABLE_EVENTLET_PATCHING', 'true')
