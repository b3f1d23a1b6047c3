# SPDX-License-Identifier: Apache-2.0
"""Clients of Placement, and of Nova and Glance where they name traits."""
