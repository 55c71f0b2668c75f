"""The operator's command line, `pinacle`: it sends tasks by name, as any program does, and shows the answers.

Holds nothing that decides anything about a pod; what it reads of Redis it reads through `worker.store`.
"""
