"""Answers by which Redis refuses commands for a while: it is a replica now, full, loading, or busy."""

import re
from typing import Final

from redis.exceptions import RedisError

REMEDIES: Final = {
    "READONLY": "this Redis is a read-only replica: wait for the failover, or point PINACLE_REDIS_URL at the "
    "primary",
    "UNBLOCKED": "this Redis has just become a replica",
    "MISCONF": "Redis cannot write to its disk and refuses to write: free some space there",
    "OOM": "Redis has used up its maxmemory and refuses to write: give it more",
    "NOREPLICAS": "Redis has fewer replicas than its min-replicas-to-write and refuses to write: start them",
    "LOADING": "Redis is still loading its data",
    "BUSY": "Redis is busy with a script: wait, or end it by SCRIPT KILL",
    "MASTERDOWN": "this Redis is a replica that has lost its primary",
    "CLUSTERDOWN": "the cluster of this Redis is down",
    "TRYAGAIN": "the cluster of this Redis is moving its keys",
}
_CODE: Final = re.compile(r"(?:^-?| -)([A-Z]+)(?= )")
"""Where a code is: at the beginning, or after a dash if a script met the error."""


def refusal(error: RedisError) -> str | None:
    """Return what to do if `error` says that Redis refuses commands now, None if it says anything else."""
    # redis-py removes the code from the text if it has a class for it.
    found = (getattr(error, "status_code", None), *_CODE.findall(str(error)))
    return next((REMEDIES[code] for code in found if code in REMEDIES), None)
