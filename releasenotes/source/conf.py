# SPDX-License-Identifier: Apache-2.0
"""Sphinx settings of the release notes."""

project = 'hvfilter Release Notes'
copyright = 'hvfilter contributors'
author = 'hvfilter contributors'

extensions = ['openstackdocstheme', 'reno.sphinxext']
root_doc = 'index'
html_theme = 'openstackdocs'
html_theme_options = {'display_badge': False, 'display_toc': True}
openstackdocs_auto_name = False
openstackdocs_auto_version = False
pygments_style = 'native'
