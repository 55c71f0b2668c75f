"""For programs in Python that have pods: `Client` and the errors that it raises.

It is the whole of the wheel `pinacle-client`, and imports nothing else of ours.
"""

from .client import Client
from .errors import PinacleError
from .following import Change, Progress

__all__ = ["Change", "Client", "PinacleError", "Progress"]
