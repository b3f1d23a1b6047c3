# SPDX-License-Identifier: Apache-2.0
"""The core: what can be found out, asked for and answered. Imports stdlib."""
