"""The pure core: what a pod is, and what to do next for one.

No clock, no asyncio, no logging, no I/O, no Celery, no Docker, no Redis. Time is an argument.
"""
