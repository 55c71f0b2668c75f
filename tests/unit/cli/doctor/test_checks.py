"""What the doctor makes of what the Engine says of itself."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from worker.cli.doctor import checks
from worker.cli.doctor.checks import Status
from worker.interfaces import EngineInfo

INFO: Final = EngineInfo(
    name="vm",
    api_version="1.41",
    runtimes=frozenset({"runc"}),
    data_root=Path("/x"),
    storage_driver="overlay2",
)


def test_live_restore_is_warned_of() -> None:
    assert checks.live_restore(INFO).status is Status.OK
    on = checks.live_restore(replace(INFO, live_restore=True))
    assert (on.status, "daemon.json" in str(on.remedy)) == (Status.WARN, True)
