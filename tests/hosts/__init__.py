# SPDX-License-Identifier: Apache-2.0
"""Hosts as test cases: snapshots, and what a report on each must say.

``NAME.json`` is the snapshot, ``expected/NAME.json`` the report in short,
``evidence/NAME.txt`` all that was observed. A snapshot whose
origin says "made" is written by ``python -m tests.hosts.make`` from the facts
in ``tests/hosts/made``; one that says "recorded" comes from ``hvfilter
record`` on a real kernel.
"""
