# SPDX-License-Identifier: Apache-2.0
"""A real OpenStack of separate processes on this machine, and hvfilter in it.

``make cloud`` runs it; see :mod:`tests.cloud.__main__`.
"""
