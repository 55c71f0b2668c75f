"""The table: each image, what its owner writes and changes, and what must be there whatever happens.

All paths in `written` have what the owner wrote last: after a stop and a start, the loss of the container, an
update of the spec, an update to the image's second version, the loss of Redis. `/marker` is the image's and
nobody changes it, so it comes from the current image. To add an image, add a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.images.building import Image

UNIVERSAL: Final = ("/workspace", "/home", "/root", "/etc", "/usr/local", "/opt", "/var", "/srv")
EVERYWHERE: Final = tuple(f"{path}/mine" for path in UNIVERSAL)
"""A file of the owner's in each universal directory."""


@dataclass(frozen=True, kw_only=True)
class Animal:
    """One image, and what happens to a pod of it."""

    name: str
    image: Image
    second: Image | None = None
    """Its second version, to which the pod is updated; None for the same with another marker."""
    written: tuple[str, ...] = EVERYWHERE
    """Files of the owner's."""
    made: tuple[str, ...] = ()
    """Files of the owner's outside all volumes: lost with the container, unless an update has kept them."""
    removed: tuple[str, ...] = ()
    """Files of the image that the owner removes: they stay away."""
    always: Mapping[str, str] = field(default_factory=dict)
    """Path to owner, mode and type as `stat -c '%u:%g %a %F'` says, in each container from its start on."""
    kept: tuple[str, ...] = ()
    """What the answer to the first update names as kept of the container's own."""
    refused: str = ""
    """What the answer to a creation says if it has to be refused."""
    update_refused: str = ""
    """What the answer to the update to the second version says if that may be refused."""
    has_shell: bool = True
    spec: Mapping[str, Any] = field(default_factory=dict)
    undone: str = ""
    """What of this row does not hold yet: it has to fail, so that this line goes when it does."""
    in_short: bool = False
    """Whether it is one of the few that every `make test` takes."""

    def version(self, number: int) -> Image:
        """Return the image's first or second version."""
        chosen = self.second if number == 2 and self.second is not None else self.image
        return chosen.folder("marker").file("marker/version", f"{number}")


BUSYBOX: Final = Image.busybox()
OSTREE: Final = (
    BUSYBOX.folder("var/home")
    .folder("var/roothome", mode=0o700)
    .folder("var/opt")
    .file("var/opt/readme", "This came with the image.")
    .folder("var/srv")
    .folder("var/usrlocal/bin")
    .link("home", "var/home")
    .link("root", "var/roothome")
    .link("opt", "var/opt")
    .link("srv", "var/srv")
    .link("usr/local", "../var/usrlocal")
)

ANIMALS: Final = (
    Animal(
        name="real-folders",
        image=BUSYBOX.file("opt/readme", "This came with the image."),
        written=(*EVERYWHERE, "/usr/bin/mine", "/bin/mine", "/lib/mine"),
        made=("/data/deep/mine",),
        in_short=True,
        removed=("/opt/readme",),
    ),
    Animal(
        name="links-of-ostree",
        image=OSTREE,
        written=(*EVERYWHERE, "/var/home/also", "/usr/bin/mine"),
        removed=("/opt/readme",),
        in_short=True,
    ),
    Animal(
        name="links-absolute-and-relative",
        image=BUSYBOX.folder("data/homes")
        .folder("data/srv")
        .link("home", "/data/homes")
        .link("srv", "./data/../data/srv")
        .folder("usr/opt")
        .link("opt", "/usr/opt"),
        written=(*EVERYWHERE, "/data/homes/also"),
    ),
    Animal(
        name="links-to-links",
        image=BUSYBOX.folder("var/a/homes").link("var/b", "a").link("home", "var/b/homes"),
    ),
    Animal(
        name="links-that-dangle",
        image=BUSYBOX.link("srv", "/nowhere/srv").link("opt", "../nowhere/opt"),
        written=(*EVERYWHERE, "/nowhere/srv/also"),
    ),
    Animal(
        name="links-to-one-place",
        image=BUSYBOX.link("srv", "home").link("opt", "srv"),
        written=(*EVERYWHERE[:5], "/var/mine", "/srv/as-srv", "/opt/as-opt"),
    ),
    Animal(name="links-that-lead-back", image=BUSYBOX.link("srv", "/opt").link("opt", "srv"), refused="/opt"),
    Animal(name="links-to-what-is-temporary", image=BUSYBOX.link("srv", "/tmp/srv"), refused="/srv"),
    Animal(
        name="merged-usr",
        image=Image.merged(),
        written=(*EVERYWHERE, "/usr/bin/mine", "/bin/also", "/lib/mine"),
    ),
    Animal(
        name="usr-merged-by-the-second-version",
        image=BUSYBOX,
        second=Image.merged(),
        written=(*EVERYWHERE, "/usr/bin/mine", "/bin/also"),
        update_refused="/bin",
    ),
    Animal(
        name="from-scratch",
        image=Image.scratch().line("VOLUME /data"),
        second=Image.scratch().file("new", "of the second version").line("VOLUME /data"),
        written=("/data/mine", "/home/mine", "/var/mine", "/etc/mine"),
        has_shell=False,
        spec={"init": False},
        in_short=True,
    ),
    Animal(
        name="volumes-in-volumes",
        image=BUSYBOX.folder("data/db/wal", mode=0o700, owner=999)
        .file("data/db/made", "by the image", owner=999)
        .line("VOLUME /data /data/db /data/db/wal"),
        written=("/data/mine", "/data/db/mine", "/data/db/wal/mine", *EVERYWHERE),
        always={"/data/db/wal": "999:999 700 directory"},
        in_short=True,
    ),
    Animal(
        name="volumes-at-and-below-ours",
        image=BUSYBOX.folder("var/lib/db", mode=0o750, owner=70)
        .folder("usr/local/lib/x")
        .line("VOLUME /var /var/lib/db /home /usr/local/lib/x /etc/app"),
        written=(*EVERYWHERE, "/var/lib/db/mine", "/usr/local/lib/x/mine", "/etc/app/mine", "/usr/lib/mine"),
        always={"/var/lib/db": "70:70 750 directory"},
    ),
    Animal(
        name="volumes-with-odd-paths",
        image=BUSYBOX.line('VOLUME ["/my data", "/a.b/./c", "/t/", "/daten-ü", "//x//y", "/up/../down"]'),
        written=("/my data/mine", "/a.b/c/mine", "/t/mine", "/daten-ü/mine", "/x/y/mine", "/down/mine"),
    ),
    Animal(
        name="volumes-with-relative-paths",
        image=BUSYBOX.line('VOLUME ["relative/path", "./dotted"]'),
        refused="a relative path gets a volume without a name",
    ),
    Animal(
        name="volumes-behind-links",
        image=BUSYBOX.link("var/run", "/run")
        .folder("var/data")
        .link("data", "/var/data")
        .line("VOLUME /data/db /var/run/app"),
        written=(*EVERYWHERE, "/data/db/mine", "/var/data/also"),
    ),
    Animal(
        name="no-etc",
        image=Image.busybox().without("etc"),
        written=EVERYWHERE,
    ),
    Animal(
        name="things-in-run",
        image=BUSYBOX.folder("run/sshd")
        .folder("run/mysqld", mode=0o2775, owner=999)
        .folder("run/lock", mode=0o1777)
        .line("VOLUME /run/app"),
        written=EVERYWHERE,
        always={
            "/run/sshd": "0:0 755 directory",
            "/run/mysqld": "999:999 2775 directory",
            "/run/lock": "0:0 1777 directory",
        },
    ),
    Animal(
        name="labels-of-ours",
        image=BUSYBOX.line(
            'LABEL dev.pinacle.pod=other dev.pinacle.installation=other dev.pinacle.incarnation="1"',
            'LABEL dev.pinacle.unasked=2 dev.pinacle.base=3 dev.pinacle.spec="{}" dev.pinacle.system="!"',
        ),
    ),
    Animal(
        name="folders-that-the-owner-changes",
        image=BUSYBOX.folder("app/data").file("app/main", "1").folder("nix/store").file("nix/store/one", "1"),
        second=BUSYBOX.folder("app/data")
        .file("app/main", "2")
        .folder("nix/store")
        .file("nix/store/one", "2"),
        made=("/app/data/mine", "/nix/store/mine", "/mine/file"),
        kept=("/app", "/nix"),
    ),
    Animal(
        name="a-second-version-that-declares-what-the-owner-made",
        image=BUSYBOX,
        second=BUSYBOX.folder("data/db").file("data/db/made", "by the image").line("VOLUME /data/db /cache"),
        made=("/data/mine", "/data/db/mine", "/cache/mine"),
    ),
    Animal(
        name="another-user",
        image=BUSYBOX.folder("home/user", owner=1000)
        .folder("home/user/work", owner=1000)
        .line("USER 1000:1000", "WORKDIR /home/user/work"),
        written=("/home/user/mine", "/home/user/work/mine"),
    ),
)
