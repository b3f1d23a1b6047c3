# SPDX-License-Identifier: Apache-2.0
"""The alerts and the dashboard, by Prometheus itself."""
