# SPDX-License-Identifier: Apache-2.0
"""All options of hvfilter, for oslo.config."""
