"""The app for Flower: `celery -A worker.flower:app flower`.

Flower does not wait for the workers' answers to a revoke, and shows it as done. So this checks first whether
it would be done.
"""

from typing import Any, Final

from flower.api.control import TaskRevoke
from tornado.web import HTTPError, authenticated

from worker.app import app
from worker.intake.control import why_not_revoked

__all__ = ["app"]

_flowers_own: Final = TaskRevoke.post


async def _post(self: Any, taskid: str) -> None:
    terminate = self.get_argument("terminate", default=False, type=bool)
    why_not = await self.run_blocking(
        "task.revoke", taskid, why_not_revoked, app, [taskid], terminate=terminate
    )
    if why_not is not None:
        raise HTTPError(403, why_not)
    await _flowers_own(self, taskid)


TaskRevoke.post = authenticated(_post)
