# SPDX-License-Identifier: Apache-2.0
"""Hosts made up by hand, each as a real kernel would show it."""
