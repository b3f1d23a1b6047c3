# SPDX-License-Identifier: Apache-2.0
"""Placement: what its REST API can tell and take, as far as traits go."""
