"""How fast it is, beside what a Django project could take instead: `python -m benchmarks`. Not in the wheel."""
