# SPDX-License-Identifier: Apache-2.0
"""Tables and comparisons of reports."""
