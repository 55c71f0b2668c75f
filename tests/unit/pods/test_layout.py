"""The layout's rules: no two pods ever share a volume name, and nothing virtual or temporary persists."""

from dataclasses import replace
from hashlib import sha256
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.layout import LAYERS_VOLUME, UNIVERSAL_VOLUMES
from tests.support.shapes import seen_shape
from tests.support.situations import (
    BELOW,
    COPIED,
    DATABASE,
    IMAGE,
    ON_POOL,
    OTHER_IMAGE,
    SYSTEM,
    layout,
    new_pod,
    pod,
)
from worker.errors import InvalidInputError
from worker.planner.volumes.mounts import mount_points
from worker.planner.volumes.unprotected import parents
from worker.pods import naming
from worker.pods.layout import (
    declared_name,
    image_paths,
    kept_layout,
    kept_volume,
    looked_paths,
    missing_volumes,
    new_places,
    normal_path,
    restored_layout,
    system_layout,
    universal_layout,
    validate_table,
    wanted_layout,
)
from worker.pods.model import PinnedImage, System, SystemMode, VolumeClass
from worker.pods.naming import parse_pod_id, volume_name
from worker.pods.shape import ROOT, ImageShape, next_look

POD_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", fullmatch=True)
PATHS = st.text(min_size=1, max_size=300).map(lambda text: normal_path("/" + text)).filter(lambda p: p != "/")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([("local", "/a"), ("usr-local", "/b")], "could be"),
        ([("a", "/a"), ("a", "/b")], "could be"),
        ([("A", "/a")], "lower-case"),
        ([("a b", "/a")], "lower-case"),
        ([("a", "/")], "virtual, temporary"),
        ([("a", "/proc/x")], "virtual, temporary"),
        ([("a", "/tmp")], "virtual, temporary"),
        ([("a", "/run/x")], "virtual, temporary"),
        ([("a", "b")], "plain absolute path"),
        ([("a", "/b/../c")], "plain absolute path"),
        ([("a", "/b"), ("c", "/b")], "mounted twice"),
    ],
)
def test_a_table_that_could_lose_data_is_refused(table: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        validate_table(table)


def test_our_table_is_sound() -> None:
    validate_table(UNIVERSAL_VOLUMES)


@given(one=POD_IDS, other=POD_IDS, first=PATHS, second=PATHS)
def test_no_two_pods_share_a_volume_name(one: str, other: str, first: str, second: str) -> None:
    """Even if one pod's id begins with the other's, as `a` and `a-usr` do."""
    mine = {volume_name(one, name) for name, _ in wanted_layout([first, second]).values()}
    for suffix in ("", "-usr", "-local", "-declared"):
        for theirs in (f"{one}{suffix}"[:63], other):
            if theirs != one:
                assert not mine & {volume_name(theirs, n) for n, _ in wanted_layout([first]).values()}


@given(first=PATHS, second=PATHS)
def test_unlike_paths_have_unlike_names_without_a_dash(first: str, second: str) -> None:
    one, other = declared_name(first), declared_name(second)
    assert (one == other) == (first == second)
    assert "-" not in one
    assert len(one) <= 160


def test_what_an_image_declares_gets_a_volume_or_a_tmpfs_and_never_an_anonymous_one() -> None:
    declared = ["/var/lib/db", "/var/lib/db/", "/etc", "/tmp/x", "/run/y", "/proc"]
    wanted = wanted_layout(declared)
    assert wanted["/var/lib/db"] == ("declared.var.lib.db", VolumeClass.DECLARED)
    assert len(wanted) == len(UNIVERSAL_VOLUMES) + 1
    image = PinnedImage(reference="image", id="sha256:1", volumes=tuple(declared))
    mounts = mount_points((), image, ImageShape(run=()))
    assert [each.path for each in mounts.temporary] == ["/run", "/run/y", "/tmp/x"]


@given(POD_IDS)
def test_pod_ids_are_taken_as_they_are(pod_id: str) -> None:
    assert parse_pod_id(pod_id) == pod_id


@pytest.mark.parametrize("pod_id", ["", "a" * 64, "../x", "a b", "é", "-a", "a\n", "a/b", None, 7, ["a"]])
def test_what_is_no_pod_id_is_refused_with_the_rule(pod_id: object) -> None:
    with pytest.raises(InvalidInputError, match=r"pod_id: .*allowed: 1 to 63 of A-Z a-z 0-9 _ -"):
        parse_pod_id(pod_id)


@pytest.mark.parametrize(
    ("filled_by", "links", "missing"),
    [
        pytest.param(OTHER_IMAGE.id, {"/srv/db": "/place"}, [], id="its own image leads there"),
        pytest.param(IMAGE.id, {"/srv/db": "/place"}, ["/srv/db"], id="another image's files are in /srv"),
        pytest.param(IMAGE.id, {"/srv/db": "/home"}, ["/srv/db"], id="neither do links to a volume there"),
        pytest.param(OTHER_IMAGE.id, {}, ["/srv/db"], id="nothing leads anywhere"),
        pytest.param(OTHER_IMAGE.id, {"/srv/db": "/run/db"}, [], id="what leads to /run stays temporary"),
    ],
)
def test_links_of_an_image_count_but_below_volumes_of_another(
    filled_by: str, links: dict[str, str], missing: list[str]
) -> None:
    """A volume shows what is in it, not what the image has there."""
    image = replace(OTHER_IMAGE, volumes=("/srv/db",))
    record = pod(image=image, declared=["/place"])
    having = [volume.evolve(image=filled_by) for volume in record.state.layout]
    shape = seen_shape(looked_paths(record, image), links)
    assert sorted(missing_volumes(record, having, shape)) == missing


def test_paths_that_lead_to_one_place_have_one_volume() -> None:
    """The first has it."""
    links = {"/opt": "/srv", "/one": "/two"}
    image = replace(IMAGE, volumes=("/one", "/two", "/three"))
    shape = seen_shape(looked_paths(pod(), image), links)
    wanted = wanted_layout(image.volumes, None, shape)
    assert {"/opt", "/one", "/three"} <= wanted.keys()
    assert wanted.keys().isdisjoint({"/srv", "/two"})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data", "declared.data"),
        ("/X/dataX", "declared.X.dataX"),
        ("/data/my-db", "declared.data.my_2ddb"),
        ("/d\N{LATIN SMALL LETTER E WITH ACUTE}", "declared.d_c3_a9"),
        ("/" + "a" * 150, "declared." + "a" * 150),
        ("/" + "a" * 151, f"declared._{sha256(('/' + 'a' * 151).encode()).hexdigest()}"),
    ],
)
def test_the_name_of_a_declared_volume_is_always_the_same(path: str, name: str) -> None:
    """Existing volumes have it: with another name, their data would not be found."""
    assert declared_name(path) == name


@pytest.mark.parametrize(
    ("path", "normal"),
    [("data", "/data"), ("//data//db/", "/data/db"), ("/a/../b/./c", "/b/c"), ("/../X", "/X"), ("X", "/X")],
)
def test_a_path_is_the_one_that_the_engine_mounts(path: str, normal: str) -> None:
    assert normal_path(path) == normal


def test_copied_system_directories_have_no_volume_of_layers() -> None:
    assert wanted_layout((), COPIED)["/usr"] == ("usr", VolumeClass.SYSTEM)
    assert LAYERS_VOLUME[1] not in wanted_layout((), COPIED)
    assert wanted_layout((), SYSTEM)[LAYERS_VOLUME[1]] == (LAYERS_VOLUME[0], VolumeClass.SYSTEM)


def test_a_pod_without_a_letter_in_its_name_has_a_host_name_all_the_same() -> None:
    assert naming.default_hostname("---") == "pod"
    assert naming.default_hostname("a_b-") == "a-b"


def test_the_name_of_a_base_is_always_the_same() -> None:
    """Bases that are whole have it: with another name, each would be made once more."""
    assert naming.base_name("test", "sha256:1") == "pinacle-base-6c970e868c4aafb1194fe15d"


def test_only_slashes_are_taken_from_a_path() -> None:
    assert naming.system_volume("/X11X/") == "X11X"
    assert list(parents("/X/aX/b")) == ["/X", "/X/aX"]
    shape = seen_shape(["/X/a"], {"/X": "/Y"})
    assert shape.place("/X/a") == "/Y/a"
    assert shape.place("/X/aX") == "/Y/aX"


def test_a_system_without_directories_has_no_volumes() -> None:
    for mode in SystemMode:
        assert system_layout(System(mode=mode, image=IMAGE)) == {}
    off = System(mode=SystemMode.OFF, image=IMAGE, directories=("/usr",))
    assert system_layout(off) == {}


def test_what_is_restored_is_noted_on_that_volume_alone() -> None:
    first, second, *rest = layout()
    marked = restored_layout((first.evolve(restored="1"), second, *rest), {second.path: "2"})
    assert [volume.restored for volume in marked] == ["1", "2", *(None for _ in rest)]


def test_a_volume_that_is_kept_has_the_name_that_the_image_s_path_gives_it() -> None:
    """If a link leads that path to what is kept; links in what another image filled do not count."""
    linked = seen_shape(["/data"], {"/data": "/mnt2"})
    volume = kept_volume(pod(image=DATABASE), "/mnt2", linked)
    assert (volume.path, volume.name) == ("/data", "declared.data")
    (kept,) = kept_layout(new_pod(image=DATABASE), ["/mnt2"], container_id="c", incarnation="i", shape=linked)
    assert kept.path == "/data"
    into = seen_shape(["/srv/db"], {"/srv/db": "/mnt2"})
    own = pod(image=BELOW, layout=tuple(v.evolve(image=BELOW.id) for v in layout()))
    assert "/mnt2" in new_places(own, into)
    assert "/srv/db" in new_places(pod(image=BELOW), into)


LOCAL_IS_OPT: Final = seen_shape(("/usr/local", "/opt"), {"/usr/local": "/opt"})
DATA_IS_SRV: Final = seen_shape(("/data", "/srv"), {"/data": "/srv"})


def test_below_a_pods_own_content_the_links_of_another_image_do_not_count() -> None:
    """What the pod has at /usr is not that image's, so its /usr/local leads nowhere else."""
    assert "/opt" not in wanted_layout((), None, LOCAL_IS_OPT)
    assert "/opt" in wanted_layout((), None, LOCAL_IS_OPT, held={"/usr"})
    record = pod(system=COPIED)
    having = [volume for volume in record.state.layout if volume.path != "/opt"]
    assert missing_volumes(record, having, LOCAL_IS_OPT) == {"/opt": ("opt", VolumeClass.UNIVERSAL)}


def test_a_volume_is_not_missing_whose_place_another_one_has() -> None:
    record = pod(image=DATABASE)
    assert set(missing_volumes(record, record.state.layout, ImageShape())) == {"/data"}
    assert missing_volumes(record, record.state.layout, DATA_IS_SRV) == {}
    assert new_places(record, DATA_IS_SRV) == {}


def test_a_pod_on_a_pool_has_all_that_its_image_has_directly_below_the_root() -> None:
    """Besides what every pod has, what is never kept, and links; by whichever image it has."""
    image = PinnedImage(reference="image", id="sha256:1", volumes=("/data/db", "/site"))
    system = System(mode=SystemMode.POOL, image=image, directories=("/usr",))
    everything = ("/app", "/dev", "/home", "/lib64", "/nix", "/proc", "/site", "/tmp", "/usr")
    shape = seen_shape((ROOT, *image_paths(image)), roots=everything)
    found = wanted_layout(image.volumes, system, shape)
    assert {path: name for path, (name, _) in found.items() if path not in universal_layout()} == {
        "/usr": "usr",
        "/app": "declared.app",
        "/nix": "declared.nix",
        "/site": "declared.site",
        "/data/db": "declared.data.db",
    }
    local = wanted_layout(image.volumes, system.evolve(mode=SystemMode.COPY), shape)
    assert found.keys() - local.keys() == {"/app", "/nix"}


def test_the_root_is_looked_at_for_pods_on_a_pool_alone() -> None:
    assert ROOT in looked_paths(pod(system=ON_POOL), IMAGE)
    assert ROOT not in looked_paths(pod(system=SYSTEM), IMAGE)
    assert next_look(ImageShape(), (ROOT,)) == ROOT
    assert next_look(ImageShape(roots=()), (ROOT,)) is None
