# SPDX-License-Identifier: Apache-2.0
"""Sphinx settings of the documentation."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'ext'))

project = 'hvfilter'
copyright = 'hvfilter contributors'
author = 'hvfilter contributors'

extensions = [
    'catalogue',
    'cliff.sphinxext',
    'json_schema',
    'log_messages',
    'monitoring',
    'oslo_config.sphinxext',
    'remedies',
    'package_imports',
    'sphinx.ext.autodoc',
    'supported',
]
root_doc = 'index'
html_theme = 'furo'
html_title = 'hvfilter'
# Most literal blocks are commands and output, in which Python's words mean
# nothing.
highlight_language = 'none'
exclude_patterns = ['asking/*', 'probe/*', '**/*.inc']
man_pages = [
    (
        'man/hvfilter',
        'hvfilter',
        'virtualization capabilities of OpenStack compute hosts',
        [author],
        1,
    ),
    (
        'man/hvfilter-status',
        'hvfilter-status',
        'check hvfilter on an OpenStack controller',
        [author],
        1,
    ),
]
