"""What arrives from Celery: messages judged, the threads that take them, remote control."""
