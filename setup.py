# SPDX-License-Identifier: Apache-2.0
"""Entry for tools that do not read pyproject.toml; all data: setup.cfg."""

import setuptools

setuptools.setup(setup_requires=['pbr>=6.1.1'], pbr=True)
