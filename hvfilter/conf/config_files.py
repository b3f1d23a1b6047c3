# SPDX-License-Identifier: Apache-2.0
"""Reading configuration files, with errors that name the file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from oslo_config import cfg, iniparser

from hvfilter.model.problem import Problem


def read(
    conf: cfg.ConfigOpts, files: Sequence[str], directories: Sequence[str] = ()
) -> None:
    """Read files into a configuration.

    :param files: later ones override earlier ones
    :param directories: directories whose ``*.conf`` are read after the files
    :raises hvfilter.model.problem.Problem: a file is missing, not readable or
        malformed
    """
    for path in (*files, *_in_directories(directories)):
        _refuse_pipes(Path(path))
    try:
        conf(
            args=[],
            project='hvfilter',
            default_config_files=list(files),
            default_config_dirs=list(directories),
        )
    except cfg.ConfigFilesNotFoundError as error:
        raise unusable(
            f'No such configuration file: {", ".join(error.config_files)}',
            'Check the path.',
        ) from None
    except cfg.ConfigFilesPermissionDeniedError as error:
        raise _refused(error) from None
    except cfg.ConfigFileParseError as error:
        raise unusable(
            _malformed(error),
            "Correct the file; Nova's services would not start with it "
            'either.',
        ) from None
    except UnicodeDecodeError:
        raise unusable(
            f'One of these configuration files is not valid UTF-8: '
            f'{", ".join(files)}',
            'Correct the file.',
        ) from None
    except (cfg.Error, OSError) as error:
        raise unusable(
            f'The configuration is not usable: {str(error).rstrip(".")}',
            'Correct the configuration files.',
        ) from None


def unusable(what: str, remedy: str) -> Problem:
    """The error about configuration that cannot be used."""
    return Problem(what, remedy, code='misconfigured')


def _refused(error: Exception) -> Problem:
    return unusable(
        f'{error}',
        'Run this as a user who may read the file, such as root or a '
        'member of the group nova.',
    )


def _in_directories(directories: Sequence[str]) -> Iterator[str]:
    for directory in directories:
        try:
            paths = sorted(Path(directory).glob('*.conf'))
        except PermissionError as error:
            # Of a folder above, such as /etc/nova.
            raise _refused(error) from None
        yield from map(str, paths)


def _refuse_pipes(path: Path) -> None:
    """oslo.config would wait for a pipe, or read a device without end."""
    try:
        odd = path.exists() and not path.is_file()
    except OSError:
        # oslo.config reports what is wrong with it.
        return
    if odd and str(path) != os.devnull:
        raise unusable(
            f'{path} is not a regular file',
            'Name a regular file; only --config-dir takes a directory.',
        )


def _malformed(error: cfg.ConfigFileParseError) -> str:
    """What is wrong, without the line itself: it may hold a password."""
    cause = error.__context__
    if isinstance(cause, iniparser.ParseError):
        where, problem = f', line {cause.lineno}', cause.msg
    else:
        where, problem = '', 'cannot be parsed'
    return f'{error.config_file}{where}: {problem}'
