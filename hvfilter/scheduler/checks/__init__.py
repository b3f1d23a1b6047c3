# SPDX-License-Identifier: Apache-2.0
"""The checks of ``hvfilter-status upgrade check``, one function each.

Each takes nothing, reads what it needs, and returns a
:class:`oslo_upgradecheck.upgradecheck.Result` whose details say what to do.
"""
