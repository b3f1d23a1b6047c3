# SPDX-License-Identifier: Apache-2.0
"""The only place that touches the machine, live or recorded."""
