"""Makes a spec from a JSON file and options that add to it. The worker judges it."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

_VARIABLE: Final = "env."
_PORT: Final = re.compile(r"(?P<container>\d+)(?::(?P<host>\d+))?(?:/(?P<protocol>tcp|udp))?")


@dataclass(frozen=True, kw_only=True)
class SpecOptions:
    """The options of `pods create` and `pods update`."""

    file: str | None = None
    """Path of a JSON object; `-` is standard input."""
    image: str | None = None
    env: Sequence[str] = ()
    ports: Sequence[str] = ()
    tier: str | None = None
    labels: Sequence[str] = ()
    description: str | None = None
    unset: Sequence[str] = ()
    """Keys that go back to their default, and `env.NAME` for variables that are removed."""


def spec_of(options: SpecOptions) -> dict[str, Any]:
    """Return a whole spec. Raises typer.BadParameter, never with a value of `env`."""
    spec = patch_of(options)
    if "image" not in spec:
        raise typer.BadParameter("say which image: --image NAME, or a --spec with one")
    return spec


def patch_of(options: SpecOptions) -> dict[str, Any]:
    """Return the keys to change. Raises typer.BadParameter, never with a value of `env`."""
    spec = {} if options.file is None else _read(options.file)
    words = (("image", options.image), ("tier", options.tier), ("description", options.description))
    for key, value in words:
        if value is not None:
            spec[key] = value
    if options.env:
        spec["env"] = _part(spec, "env", dict) | dict(map(_variable, options.env))
    if options.labels:
        spec["labels"] = _part(spec, "labels", dict) | labels_of(options.labels)
    if options.ports:
        spec["ports"] = _part(spec, "ports", list) + list(map(port_of, options.ports))
    for key in options.unset:
        name = key.removeprefix(_VARIABLE)
        if name == key:
            spec[key] = None
        else:
            spec["env"] = _part(spec, "env", dict) | {name: None}
    return spec


def labels_of(texts: Sequence[str]) -> dict[str, str]:
    """Return the labels that options such as `NAME=VALUE` stand for."""
    pairs = [text.partition("=") for text in texts]
    for name, separator, _value in pairs:
        if not (name and separator):
            raise typer.BadParameter(
                f"{name!r:.40} is not NAME=VALUE, such as project=shop", param_hint="--label"
            )
    return {name: value for name, _separator, value in pairs}


def wanted_labels(texts: Sequence[str]) -> dict[str, str | None]:
    """Return the labels that `NAME=VALUE` and `NAME` look for; of the latter with any value."""
    pairs = [text.partition("=") for text in texts]
    return {name: value if separator else None for name, separator, value in pairs}


def port_of(text: str) -> dict[str, Any]:
    """Return the port that `CONTAINER[:HOST][/udp]` stands for."""
    found = _PORT.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"{text!r:.40} is not a port; allowed: CONTAINER[:HOST][/udp], such as 8080 or 8080:18080/udp",
            param_hint="--port",
        )
    container, host, protocol = found.group("container", "host", "protocol")
    port: dict[str, Any] = {"container": int(container)}
    if host is not None:
        port["host"] = int(host)
    return port if protocol is None else port | {"protocol": protocol}


def _variable(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        # It is not quoted: somebody may have typed only the value.
        raise typer.BadParameter("one of them is not NAME=VALUE", param_hint="--env")
    return name, value


def _read(file: str) -> dict[str, Any]:
    where = "standard input" if file == "-" else file
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as error:
        raise _bad_file(f"{where}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise _bad_file(
            f"{where} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    except ValueError:
        raise _bad_file(f"{where} is not text in UTF-8") from None
    if not isinstance(found, dict):
        raise _bad_file(f'{where} is not a JSON object, such as {{"image": "debian:12-slim"}}')
    return found


def _part(spec: dict[str, Any], key: str, kind: type) -> Any:
    found = spec.get(key, kind())
    if not isinstance(found, kind):
        raise _bad_file(f"its {key!r} has another type, so --{key.removesuffix('s')} cannot add to it")
    return found


def _bad_file(text: str) -> typer.BadParameter:
    return typer.BadParameter(text, param_hint="--spec")
