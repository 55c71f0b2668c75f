"""What a machine lacks: a required program ends the command, one that is only wanted does not."""

import subprocess

import pytest

from worker.local import packages
from worker.local.packages import ENGINE, FILTER, MissingProgramsError, require


def lack(monkeypatch: pytest.MonkeyPatch, *lacking: str, root: bool) -> list[list[str]]:
    """Simulate a machine without some programs, where nothing can be installed; return the commands."""
    asked: list[list[str]] = []

    def install(names: list[str]) -> None:
        asked.append(names)
        raise subprocess.CalledProcessError(100, "apt-get")

    monkeypatch.setattr(packages, "find", lambda program: None if program in lacking else f"/bin/{program}")
    monkeypatch.setattr(packages, "_install", install)
    monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr("shutil.which", lambda program: f"/bin/{program}")
    return asked


@pytest.mark.parametrize("root", [True, False])
def test_an_engine_runs_on_a_machine_that_gets_no_nft(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: bool
) -> None:
    asked = lack(monkeypatch, "nft", root=root)
    require(*ENGINE, wanted=FILTER)
    assert asked == ([["nftables"]] if root else [])
    assert "goes on without nft (on Debian or Ubuntu: apt-get install nftables)" in capsys.readouterr().err


def test_what_is_needed_and_what_is_wanted_are_installed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = lack(monkeypatch, "dockerd", "nft", root=True)
    with pytest.raises(subprocess.CalledProcessError):
        require(*ENGINE, wanted=FILTER)
    assert asked == [["docker.io", "nftables"]]


def test_a_user_learns_everything_that_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    lack(monkeypatch, "dockerd", "nft", root=False)
    with pytest.raises(
        MissingProgramsError, match=r"missing: dockerd\. .*apt-get install docker\.io nftables"
    ):
        require(*ENGINE, wanted=FILTER)


def test_a_machine_that_lacks_nothing_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lack(monkeypatch, root=True) == []
    require(*ENGINE, wanted=FILTER)
    assert capsys.readouterr().err == ""
