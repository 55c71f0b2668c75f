"""`pinacle doctor`: looks at Engine, Redis and workers, and changes nothing."""
