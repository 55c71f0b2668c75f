"""The operator's command line, `pinacle`: it sends tasks by name, as any program does, and shows the answers.

Nothing here decides anything about a pod. What it reads from Redis, it reads through `worker.store`.
"""
