"""`make chaos`: real servers, sockets, databases and Redis under violence; then every client's view beside the log.

cells.py      which databases and layers are paired, and which paths each pair can take
settings.py   the host project that the servers run; urls.py, apps.py
stores.py     databases and Redis of the run's own, killed and started again; the log read by SQL
site.py       the processes of one cell
troubles.py   what is done to them all, and when: drawn from the seed alone
havoc.py      does it, and undoes it
letters.py    what people say, change and remove, until it is answered
people.py     who reads and publishes: real sockets, which note down what came, as it came; callers.py: by a view
evidence.py   what is compared; shown.py: what a message was and is, for the log and for who reads it
verdict.py    what was lost, doubled, out of order: pure
cell.py       one cell, from its start to its verdict; waiting.py
sabotage.py   one safety taken out of the servers, so that the verdict can be seen to fall
table.py      the tables; __main__.py the command
"""
