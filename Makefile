# Two commands are enough: `make demo` shows it, `make test` proves it.
# Each finds its Python through .ci/python; `PYTHON=` overrules that.

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick chaos bench bench-quick lint format clean

find_python = python="$${PYTHON:-$$(sh .ci/python)}" && [ -n "$$python" ]

help:
	@echo "make demo        a site with rooms on 127.0.0.1:8000 (PORT=, DEMO_REDIS_URL=, DEMO_DATABASE_URL=, DEMO_WORKERS=)"
	@echo "make test        the whole suite: tox matrix, Redis, PostgreSQL, MariaDB, Chromium, Node"
	@echo "make test-quick  the inner loop: Python, SQLite and the in-memory layer"
	@echo "make chaos       servers killed, Redis and databases too, sockets cut: is anything lost? (SEED=, SECONDS=, CELLS=, SABOTAGE=)"
	@echo "make bench       ours and every peer, side by side, for an hour and a half: how fast is it? (ROUNDS=, SECONDS=, ONLY=, PEERS=, OUT=)"
	@echo "make bench-quick the same in less than two minutes, on PostgreSQL alone"
	@echo "make lint        style, direction of imports, types, migrations"
	@echo "make format      lets ruff write"
	@echo "make clean       removes what the others made, the demo's data too"

demo:
	@$(find_python) && exec "$$python" .ci/demo.py

# Where ensurepip alone is missing, the suite's script can install it.
test:
	@python="$${PYTHON:-$$(sh .ci/python 2>/dev/null || sh .ci/python sqlite3)}" && [ -n "$$python" ] && exec "$$python" .ci/test.py

test-quick:
	@$(find_python) && "$$python" .ci/environment.py tests redis daphne && cd tests && exec ../.venv/bin/pytest -q -m "not heavy and not wheel and not slow" --ignore=servers --ignore=browser --ignore=chaos

chaos:
	@$(find_python) && exec "$$python" .ci/chaos.py

bench:
	@$(find_python) && exec "$$python" .ci/bench.py

bench-quick:
	@$(find_python) && exec "$$python" .ci/bench.py --quick

lint:
	@$(find_python) && exec "$$python" .ci/tools.py run -q -e lint

format:
	@$(find_python) && "$$python" .ci/environment.py --with ruff && .venv/bin/ruff check --fix --exit-zero -q && .venv/bin/ruff format

clean:
	rm -rf .venv .tox build dist benchmarks/peers/node/node_modules *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -f example_project/db.sqlite3*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
