# SPDX-License-Identifier: Apache-2.0
"""The hvfilter command: one command a module."""
