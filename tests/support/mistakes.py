"""The ordinary mistakes that people make on their first days, and the tests that show what they are told."""

from typing import Final

_ROWS: Final = "tests/integration/test_mistakes.py"
_AROUND: Final = "tests/integration/test_mistakes_around.py"
_WORKER: Final = "tests/integration/test_bad_surroundings.py"
_TWO: Final = "tests/integration/test_two_installations.py"
_RENAMED: Final = "tests/integration/test_renamed_host.py"
_MAKE: Final = "tests/acceptance/test_make_mistakes.py"
_UP: Final = "tests/acceptance/test_make_up.py"
_UP_RUNS: Final = f"{_UP}::test_the_lines_that_it_prints_lead_to_a_pod_that_keeps_what_is_installed"
"""`make up` in a folder with a long path and spaces, from elsewhere, umask 077, in Turkish."""


def _typed(row: str) -> str:
    return f"{_ROWS}::test_a_mistake_is_one_line_that_helps[{row}]"


def _told(row: str) -> str:
    return f"{_ROWS}::test_a_pod_says_what_is_wrong_with_it[{row}]"


MISTAKES: Final[dict[str, tuple[str, ...]]] = {
    "wrong image name": (
        _typed("wrong image name"),
        "tests/integration/test_images.py::test_a_private_image_that_does_not_exist_is_told_apart",
    ),
    "image without network": (_typed("image without network"),),
    "tier typo": (_typed("tier typo"),),
    "unknown key": (_typed("unknown key"),),
    "bad id": (_typed("bad id"),),
    "port taken by a pod": (_typed("port taken by a pod"),),
    "port taken by a program": (_told("port taken by a program"),),
    "create twice with another spec": (_typed("create twice with another spec"),),
    "command as a string": (_typed("command as a string"),),
    "DOCKER_HOST of another form": (
        _typed("DOCKER_HOST of another form"),
        _typed("DOCKER_HOST that is no Engine"),
        f"{_WORKER}::test_a_docker_host_that_is_none[nonsense]",
    ),
    "spec that is no JSON": (_typed("spec that is no JSON"),),
    "no space": (
        f"{_AROUND}::test_too_little_space_is_told_with_how_much_is_needed",
        "tests/integration/test_overlay.py::test_a_full_disk_while_a_base_is_filled",
    ),
    "Ctrl-C": ("tests/integration/test_cli.py::test_ctrl_c_in_the_middle_of_a_creation",),
    "no TTY": (_typed("no TTY"),),
    "delete of a running pod": ("tests/integration/test_cli.py::test_a_deletion_asks_on_a_terminal",),
    "delete of an unknown pod": (f"{_ROWS}::test_the_deletion_of_an_unknown_pod_says_that_there_was_none",),
    "volume removed by hand": (
        "tests/integration/test_cli.py::test_an_answer_that_is_not_the_end_says_how_to_follow",
        "tests/integration/test_storage.py::test_a_single_missing_volume_stops_its_pod_and_no_other",
    ),
    "OOM": (_told("OOM"),),
    "old Python": (f"{_MAKE}::test_an_old_python_is_named_before_anything_is_installed",),
    "user not in image": (_told("user not in image"),),
    "umask 077": (f"{_AROUND}::test_a_pods_files_have_their_modes_whatever_the_umask", _UP_RUNS),
    "path with spaces": (
        f"{_AROUND}::test_mounts_are_found_below_a_path_with_spaces",
        f"{_AROUND}::test_a_pods_files_have_their_modes_whatever_the_umask",
        _UP_RUNS,
    ),
    "Turkish locale": (
        f"{_AROUND}::test_letters_of_another_language_change_nothing",
        f"{_MAKE}::test_a_language_that_is_not_installed_is_no_matter",
        _UP_RUNS,
    ),
    "another directory": (f"{_AROUND}::test_a_pods_files_have_their_modes_whatever_the_umask", _UP_RUNS),
    "second worker": (
        f"{_AROUND}::test_a_second_worker_does_no_harm_and_both_say_so",
        "tests/integration/test_outages.py::test_two_workers_on_one_host_never_have_two_hands_on_a_pod",
    ),
    "make up twice": (f"{_UP}::test_a_second_one_says_that_it_runs",),
    "beside compose": (
        f"{_UP}::test_ports_of_another_stack_are_named_with_the_setting_for_others",
        f"{_TWO}::test_a_second_one_is_refused_and_takes_over_only_if_nobody_objects",
    ),
    "without root": tuple(
        f"{_MAKE}::test_an_ordinary_user_is_told_what_is_missing[{target}]" for target in ("demo", "up")
    ),
    "port the wrong way round": (_typed("port the wrong way round"),),
    "crash at once": (_told("crash at once"),),
    "Redis stopped while waiting": (f"{_AROUND}::test_a_redis_that_stops_while_an_answer_is_waited_for",),
    "host renamed": (f"{_RENAMED}::test_the_pods_of_a_renamed_host_come_along_when_a_person_says_so",),
    "no queue given": (f"{_AROUND}::test_a_message_without_a_queue_is_named_with_what_to_do",),
    "setting misspelt": (
        _typed("setting misspelt"),
        f"{_WORKER}::test_a_misspelt_setting_ends_the_worker_and_an_unknown_one_is_logged_once",
    ),
    "password with a slash": (
        _typed("password with a slash"),
        "tests/integration/test_redis_access.py::test_a_pod_lives_by_what_the_web_app_sends",
    ),
    "long path": (_typed("long path"), _UP_RUNS),
}
"""What somebody does, and the node ids of the tests that assert what they are told."""
