# SPDX-License-Identifier: Apache-2.0
"""The agent as a service, under real systemd of several Debian releases."""
