# SPDX-License-Identifier: Apache-2.0
"""The Debian and RPM packages: built, checked, installed, run and purged."""
