# SPDX-License-Identifier: Apache-2.0
#
# Each target makes its own environment in .make-venv first; a later run reuses it.
# Another Python: make PYTHON=python3.12 test

export PYTHON

.PHONY: help demo test test-green test-oldest releases lint lab lab-quick lab-shell fleet e2e cloud systemd packages ansible container dist docs release-check clean

help:
	@echo 'make demo   show hvfilter at work in a real Nova and Placement'
	@echo 'make test   unit, replay and functional tests, and lint'
	@echo 'make test-green    the scheduler tests on green threads'
	@echo 'make test-oldest   the scheduler tests on the oldest supported Nova'
	@echo 'make releases      the functional tests on all of them, for the docs'
	@echo 'make lint   lint only'
	@echo 'make lab    hvfilter in real kernels on emulated processors (Debian)'
	@echo '            HOST=name: one of them; make lab-shell HOST=name: enter it;'
	@echo '            make lab-quick: the few that tell most'
	@echo 'make fleet  10,000 hosts publish to a real Placement on PostgreSQL'
	@echo '            ARGS="--providers 1000 --workers 4 --spread 30"'
	@echo 'make e2e    hvfilter in a whole OpenStack on real libvirt, judged by what'
	@echo '            its guests print (Debian, root, /dev/kvm)'
	@echo 'make cloud  that OpenStack with hvfilter in it, to play with'
	@echo 'make systemd  the agent as a service, under systemd of Debian 12 and 13'
	@echo 'make packages  Debian packages, built, installed and purged in Debian 12 and 13,'
	@echo '            and RPM packages'
	@echo 'make ansible  the Ansible role, on Debian 12 and 13 with a real Placement'
	@echo 'make container  the image of the agent, built by podman and run'
	@echo 'make dist   the source distribution and the wheel, in dist'
	@echo 'make docs   the documentation and the man pages, in doc/build'
	@echo 'make release-check  all that a release needs, as one table'
	@echo 'make clean  remove what the above made'

demo:
	@tools/in-env demo python -m tests.demo

test:
	@tools/in-env test python tools/run_tests.py

# "make test" has them on native ones, Nova's default by now.
test-green:
	@OS_NOVA_DISABLE_EVENTLET_PATCHING=false \
		tools/in-env test python tools/run_tests.py unit/scheduler functional/scheduler

# Needs Python 3.10 or 3.11: that Nova knows no later one.
test-oldest:
	@tools/in-env 2023.1 python tools/run_tests.py unit/scheduler functional

releases:
	@"$$(tools/find-python)" tools/releases.py run $(RELEASES)

lint:
	@tools/in-env test python tools/lint.py

lab:
	@tools/in-env lab python -m tests.lab $(HOST)

lab-quick:
	@tools/in-env lab python -m tests.lab --quick $(if $(CI),--if-possible)

lab-shell:
	@tools/in-env lab python -m tests.lab --shell $(HOST)

fleet:
	@tools/in-env fleet python -m tests.fleet $(ARGS)

e2e:
	@tools/in-env cloud python -m tests.cloud \
		$(if $(CI),--if-possible) $(ARGS)

cloud:
	@tools/in-env cloud python -m tests.cloud --up

systemd:
	@tools/in-env lab python -m tests.systemd $(RELEASES)

packages:
	@tools/in-env test python -m tests.packages $(ARGS)

ansible:
	@tools/in-env ansible python -m tests.ansible

container:
	@tools/in-env lab python -m tests.container

dist:
	@tools/in-env test python tools/dist.py

docs:
	@tools/in-env docs python tools/docs.py

release-check:
	@"$$(tools/find-python)" tools/release_check.py $(ONLY)

clean:
	rm -rf .make-venv* .ansible-hosts .container .systemd .packages .lab .cloud .cloud.lock .cloud.pids .cloud-seed .stestr .mypy_cache .ruff_cache .import_linter_cache
