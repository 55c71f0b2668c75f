"""What arrives from Celery: checks of messages, the threads that run tasks, remote control."""
