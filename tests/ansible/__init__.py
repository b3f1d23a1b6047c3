# SPDX-License-Identifier: Apache-2.0
"""The Ansible role, run on Debian hosts with systemd and a real Placement.

``make ansible`` runs it; see :mod:`tests.ansible.__main__`.
"""
