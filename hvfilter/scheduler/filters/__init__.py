# SPDX-License-Identifier: Apache-2.0
"""Filters for nova-scheduler, registered under hvfilter.scheduler.filters."""
