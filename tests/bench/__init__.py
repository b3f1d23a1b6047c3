# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: run by hand, each prints its numbers and its limits."""
