# SPDX-License-Identifier: Apache-2.0
"""The container image of the agent, built and run.

``make container`` runs it; see :mod:`tests.container.__main__`.
"""
