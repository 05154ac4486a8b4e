.POSIX:

# Each of these may be repeated at any time: what is set up already is left alone.
.PHONY: help run test test-fast lint docs dist try-wheel setup clean

help:
	@echo 'make run        open napari with a sample image and the widget (without a display: the demo)'
	@echo 'make test       run the test suite'
	@echo 'make test-fast  run it without the tests marked slow, in under two minutes'
	@echo 'make lint       check style, types and import rules'
	@echo 'make docs       build the documentation into build/site'
	@echo 'make dist       build the package into dist/ and check it'
	@echo 'make try-wheel  build it, install it in an environment of its own and start it'
	@echo 'make clean      remove the virtual environment, the demo and all caches'

run:
	@sh scripts/system_libraries.sh
	@sh scripts/setup.sh all
	@sh scripts/run.sh

# One process for each core, each with a virtual screen of its own where there is Xvfb; in the order
# of tests/conftest.py. What is compiled is kept, whatever the environment says: tests start dozens of
# programs.
test: setup
	@PYTHONDONTWRITEBYTECODE= sh scripts/on_screen.sh .venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile \
		--no-loadscope-reorder $(PYTEST)

test-fast:
	@$(MAKE) test PYTEST='-m "not slow" $(PYTEST)'

lint:
	@sh scripts/setup.sh dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo --no-cache

docs:
	@sh scripts/docs.sh

dist:
	@sh scripts/dist.sh

try-wheel: dist
	@sh scripts/system_libraries.sh
	@sh scripts/try_wheel.sh

setup:
	@sh scripts/system_libraries.sh
	@sh scripts/setup.sh test

clean:
	rm -rf .venv demo build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
