"""What is measured, a file each: a function of a server that runs, a dialect and parameters, to a dict of numbers.

Each can be run by itself: `python -m benchmarks.measures.fanout rooms --window 4`.
"""
