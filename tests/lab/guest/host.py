# SPDX-License-Identifier: Apache-2.0
"""Become the host that host.json describes, look at it, tell the results.

Runs as the only program of a host in the lab.
"""

import base64
import contextlib
import hashlib
import io
import json
import pathlib
import re
import subprocess
import sys
import time
import traceback
import zlib

sys.path.insert(0, '/lab')

import registers
import steps
import truth

MODULES = pathlib.Path('/lab/modules')
MESSAGES = re.compile(
    r'kvm|svm|vmx|\bept\b|\bnpt\b|nested|hyp mode|hypervisor|virtuali|vhe|'
    r'feat_ctl|h.?ext|sgx|\bsev\b|\bEL2\b',
    re.IGNORECASE,
)


def load(name, *parameters):
    """Load a module; what insmod says about it."""
    path = MODULES / f'{name}.ko'
    if not path.exists():
        return 'built in, or not there'
    done = subprocess.run(
        ['insmod', path, *parameters], capture_output=True, text=True
    )
    return done.stderr.strip() or 'loaded'


def load_all(host):
    """All modules in order, and of the vendors' only the host's own."""
    said = {}
    for name in (MODULES / 'order').read_text().split():
        if name.startswith('kvm-') and name != host['module']:
            continue
        if name == 'msr':
            said[name] = load(name, 'allow_writes=on')
            registers.set_bits(host.get('set_msrs', ()))
            continue
        if name == 'kvm' and not host['module']:
            continue
        parameters = host['parameters'] if name == host['module'] else ()
        said[name] = load(name, *parameters)
    return said


def messages():
    """The kernel's own, those that speak of virtualization."""
    done = subprocess.run(['dmesg'], capture_output=True)
    lines = done.stdout.decode('utf-8', 'replace').splitlines()
    return [line for line in lines if MESSAGES.search(line)]


def parameters():
    """Module and name to value."""
    found = {}
    modules = pathlib.Path('/sys/module')
    for path in sorted(modules.glob('kvm*/parameters/*')):
        name = f'{path.parent.parent.name}/{path.name}'
        try:
            found[name] = path.read_text().strip()
        except OSError as error:
            found[name] = error.strerror
    return found


def command(*arguments):
    """Run hvfilter: exit status, output, what it says beside, seconds."""
    from hvfilter.cli import main

    out, err = io.StringIO(), io.StringIO()
    start = time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main.main(list(arguments))
        except SystemExit as stop:
            status = stop.code
        except BaseException:
            status = -1
            traceback.print_exc(file=err)
    return {
        'status': status,
        'out': out.getvalue(),
        'err': err.getvalue(),
        'seconds': round(time.monotonic() - start, 2),
    }


def smoke(times):
    """Several smoke runs: of a plain guest, and of one in a guest without and
    with nested paging, whatever KVM offers."""
    from hvfilter.host import live

    host = live.LiveHost()
    return {
        'kvm': several(times, host.smoke),
        'nested': several(times, lambda: host.nested_smoke('nested')),
        'nested_slat': several(
            times, lambda: host.nested_smoke('nested_slat')
        ),
    }


def mutated(times):
    """Guests in guests with changed memory, and a plain one after them."""
    import nested_mutation

    from hvfilter.host import live

    classes = nested_mutation.offered()
    if not classes:
        return None
    found = nested_mutation.run_all(classes, times, seed=times)
    after = several(1, live.LiveHost().smoke)
    return {**found, 'after': [outcome for outcome, *_ in after]}


def restored(traits):
    """What KVM takes of the VMX and the SVM state of other hosts' guests."""
    import svm_restore
    import vmx_restore

    found = {}
    for kind, module in (('VMX', vmx_restore), ('SVM', svm_restore)):
        if kind not in traits:
            continue
        try:
            found[kind] = module.compare(traits[kind])
        except Exception:
            found[kind] = {'error': traceback.format_exc()}
    return found


def several(times, run_once):
    """Outcome, ratio, nanoseconds and last step of each run."""
    from hvfilter.host import base
    from hvfilter.probes import smoke_verdict

    found = []
    for _ in range(times):
        try:
            run = run_once()
        except base.Denied as denial:
            return str(denial)
        verdict = smoke_verdict.judge(run)
        ratio = verdict.slope and round(verdict.slope.ratio, 3)
        ending = run.steps[-1][1]
        found.append((verdict.outcome.value, ratio, run.elapsed_ns, ending))
    return found


def tell(results, path):
    """Write the results so that they can be found in a serial line."""
    data = zlib.compress(json.dumps(results).encode(), 6)
    digest = hashlib.sha256(data).hexdigest()
    text = base64.b64encode(data).decode()
    lines = [text[at : at + 76] for at in range(0, len(text), 76)]
    with open(path, 'w') as file:
        print(f'\nLAB-BEGIN {digest}', *lines, 'LAB-END', sep='\n', file=file)


def main():
    with open('/lab/host.json') as file:
        host = json.load(file)
    with open('/proc/sys/kernel/printk', 'w') as file:
        file.write('1')  # or its messages land between our lines
    results = {'loading': load_all(host)}
    results['ran'] = truth.ran()
    results['messages'] = messages()
    results['parameters'] = parameters()
    results['uptime'] = time.clock_gettime(time.CLOCK_BOOTTIME)
    for name, arguments in host['commands'].items():
        results[name] = command(*arguments)
    if host.get('steps'):
        results['steps'] = steps.run(host['steps'], command)
        results['state'] = steps.state()
    if host['smoke_runs']:
        results['smoke_runs'] = smoke(host['smoke_runs'])
    if host.get('nested_sets'):
        results['restored'] = restored(host['nested_sets'])
    if host.get('mutated_guests'):
        results['mutated'] = mutated(host['mutated_guests'])
    results['took'] = time.clock_gettime(time.CLOCK_BOOTTIME)
    tell(results, host['results'])


main()
