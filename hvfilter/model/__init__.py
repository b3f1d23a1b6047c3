# SPDX-License-Identifier: Apache-2.0
"""The core: capabilities, findings, requests and verdicts. Imports stdlib."""
