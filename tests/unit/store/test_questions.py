"""The message of a question that is put without Celery."""

import base64
import json
from typing import Any

from worker.intake.messages import body_problem, head_problem
from worker.store.questions import message


def test_a_worker_takes_it() -> None:
    """It is checked as strictly as anybody's; a part that is wrong would be a refusal."""
    made: dict[str, Any] = message("pods.get", ["abc"], {"x": 1}, task_id="t-1", queue="questions")
    head = (made["headers"], made["properties"], made["content-type"], made["content-encoding"])
    body = base64.b64decode(made["body"])
    assert head_problem(*head) is None
    assert body_problem(body) is None
    assert json.loads(body)[:2] == [["abc"], {"x": 1}]
    assert made["headers"]["id"] == made["properties"]["correlation_id"] == "t-1"
    assert made["properties"]["delivery_info"] == {"exchange": "", "routing_key": "questions"}
