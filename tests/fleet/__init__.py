# SPDX-License-Identifier: Apache-2.0
"""A cloud's worth of publishers on a real Placement and a real database.

``make fleet`` runs it; see :mod:`tests.fleet.__main__`.
"""
