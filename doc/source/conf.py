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
    'openstackdocstheme',
    'oslo_config.sphinxext',
    'remedies',
    'rooms',
    'sphinx.ext.autodoc',
    'supported',
]
root_doc = 'index'
html_theme = 'openstackdocs'
html_theme_options = {'display_badge': False, 'display_toc': True}
openstackdocs_auto_name = False
openstackdocs_auto_version = False
pygments_style = 'native'
