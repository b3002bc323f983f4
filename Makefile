# Everything runs in a virtual environment of this checkout; nothing is taken from outside but python3 and, for the
# tests, Debian packages.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
DEBIAN_PACKAGES = docker-registry skopeo nginx-light haproxy dnsmasq-base chrony nftables iptables iproute2 apache2-utils openssl \
  tinyproxy-bin microsocks squid containerd docker.io podman e2fsprogs util-linux mount

.PHONY: demo test lint format docs benchmark clean packages

$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.developer: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	@touch $@

demo: .venv-demo/.installed-demo
	.venv-demo/bin/regdoctor demo healthy
	@echo
	.venv-demo/bin/regdoctor demo expired-certificate --html demo-report.html; test $$? -eq 3

.venv-demo/.installed-demo: pyproject.toml setup.py $(shell find src checks reports -type f -not -name '*.pyc')
	$(PYTHON) -m venv .venv-demo || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
	.venv-demo/bin/pip install --quiet --disable-pip-version-check .
	@touch $@

packages:
	@tools/install_packages $(DEBIAN_PACKAGES)

test: packages $(VENV)/.developer
	$(BIN)/python -m pytest -n 4 $(PYTEST_ARGUMENTS)

lint: $(VENV)/.developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	tools/typecheck $(abspath $(BIN))/python

format: $(VENV)/.developer
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.developer
	$(BIN)/python tools/generate_docs.py
	$(BIN)/python tools/generate_fault_table.py
	$(BIN)/python tools/update_readme.py

benchmark: packages $(VENV)/.developer
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv .venv-demo build dist src/*.egg-info demo-report.html
