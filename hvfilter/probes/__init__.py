# SPDX-License-Identifier: Apache-2.0
"""Probes: each observes one family of capabilities on a host."""
