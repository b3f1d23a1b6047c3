# SPDX-License-Identifier: Apache-2.0
"""Sphinx settings of the release notes."""

project = 'hvfilter Release Notes'
copyright = 'hvfilter contributors'
author = 'hvfilter contributors'

extensions = ['reno.sphinxext']
root_doc = 'index'
html_theme = 'furo'
