# SPDX-License-Identifier: Apache-2.0
"""Change a host, run the agent, read its history: once for each step."""

import base64
import json
import pathlib
import subprocess

STATE = pathlib.Path('/var/lib/hvfilter')
COLUMNS = ('Time', 'Cause', 'Effect')
PUBLISH = ('publish', '--to', 'provider-config', '--provider-name', 'lab')


def run(steps, command):
    """What came of each step.

    :param steps: scripts for the shell; an empty one changes nothing
    :param command: runs hvfilter
    """
    STATE.mkdir(parents=True, exist_ok=True)
    pathlib.Path('/etc/nova/provider_config').mkdir(exist_ok=True)
    return [one(script, command) for script in steps]


def one(script, command):
    """Output of the script, of the agent and of the history after it."""
    done = subprocess.run(
        ['sh', '-ec', script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    published = command(*PUBLISH)
    print(script, published['seconds'], flush=True)
    shown = command('history', '-f', 'json')
    columns = [word for name in COLUMNS for word in ('-c', name)]
    rows = command('history', '-f', 'json', *columns)
    return {
        'script': {'status': done.returncode, 'out': done.stdout},
        'publish': {name: published[name] for name in ('status', 'err')},
        'changes': json.loads(shown['out'])['changes'],
        'rows': json.loads(rows['out']),
    }


def state():
    """Path to content, in base64, of all that outlives a boot."""
    return {
        str(path): base64.b64encode(path.read_bytes()).decode()
        for path in STATE.rglob('*')
        if path.is_file()
    }
