"""What the doctor concludes from the kernel's limits."""

from pathlib import Path

import pytest

from worker.cli.doctor.checks import Status
from worker.cli.doctor.kernel_checks import NEEDED, kernel_limits, read_limits, user_namespaces


@pytest.mark.parametrize("key", NEEDED)
def test_each_limit_that_is_too_low_is_named_with_the_line_to_set(key: str) -> None:
    check = kernel_limits({**NEEDED, key: NEEDED[key] - 1})
    assert check.status is Status.FAIL
    assert f"{key} is {NEEDED[key] - 1}" in check.detail
    assert check.remedy is not None
    assert f"printf '{key} = {NEEDED[key]}\\n' > /etc/sysctl.d/90-pinacle.conf" in check.remedy


def test_what_suffices_or_is_not_to_be_seen_is_fine() -> None:
    assert kernel_limits(NEEDED).status is Status.OK
    assert kernel_limits({}).status is Status.OK


def test_limits_are_read_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "pid_max").write_text("32768\n")
    assert read_limits(tmp_path) == {"kernel.pid_max": 32768}


def test_root_of_pods_that_is_root_of_the_host_is_warned_of() -> None:
    assert user_namespaces(are_remapped=True).status is Status.OK
    assert user_namespaces(are_remapped=False).status is Status.WARN
