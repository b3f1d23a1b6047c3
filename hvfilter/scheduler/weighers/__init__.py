# SPDX-License-Identifier: Apache-2.0
"""Weighers for nova-scheduler, found under hvfilter.scheduler.weighers."""
