"""The operator's command line, `pinacle`: it sends tasks by name, as any program does, and shows the answers.

What takes long to load (Celery, Redis, the Engine's client) is imported where it is used, so that a command
waits for nothing that it does not need; tests/unit/cli/test_imports.py lists it.

Nothing here decides anything about a pod. What it reads from Redis, it reads through `worker.store`.
"""
