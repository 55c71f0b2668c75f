"""A lease that is kept is renewed in time, whatever validity is set: a step takes some of it."""

from typing import Any

import pytest

from worker.store.leases import Leases


class Scripts:
    def register_script(self, _text: str) -> None:
        return None


@pytest.mark.parametrize(("ttl_s", "step_s"), [(20.0, 10.0), (9.0, 6.0), (10.5, 10.0), (60.0, 1.0)])
def test_a_step_may_begin_at_any_time_between_two_renewals(ttl_s: float, step_s: float) -> None:
    redis: Any = Scripts()
    leases = Leases(redis=redis, ttl_s=ttl_s, takeover_delay_s=step_s)
    assert ttl_s - leases._every_s > step_s
    assert leases._every_s > 0
