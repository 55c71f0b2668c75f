"""Makes Redis' address from the settings: one URL that redis-py, kombu and Celery read in the same way."""

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

SCHEMES: Final = ("redis", "rediss")
_PLACE: Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]|")
_BARE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CHECKED: Final = ("required", "optional", "none")
_APART: Final = "; a password that has any of / ? # % belongs in PINACLE_REDIS_PASSWORD, as it is"


def redis_address(url: str, *, password: str | None = None, ca_file: str | None = None) -> str:
    """Return the URL for every client, with `password`, and for rediss with a check of certificates.

    Raises ValueError, whose text quotes no part of the URL, as any part may belong to a password.
    """
    parts = _parsed(url)
    user = parts.username or ""
    inside = parts.password
    if inside is not None and password is not None:
        raise ValueError("has a password, and PINACLE_REDIS_PASSWORD is set; allowed: one of them")
    secret = unquote(inside) if inside is not None else password
    who = (
        f"{quote(unquote(user), safe='')}:{quote(secret, safe='')}@" if secret else f"{user}@" if user else ""
    )
    place = parts.netloc.rpartition("@")[2]
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme == "rediss":
        # Without it kombu would check no certificate, and Celery's result backend would not start.
        checked = query.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
        if checked not in _CHECKED:
            raise ValueError(f"has another ssl_cert_reqs; allowed: {', '.join(_CHECKED)}")
        query["ssl_cert_reqs"] = checked
        if ca_file is not None:
            query.setdefault("ssl_ca_certs", ca_file)
    elif ca_file is not None:
        raise ValueError("is not rediss://, and PINACLE_REDIS_CA is set; allowed: rediss:// for TLS")
    asked = f"?{urlencode(query, safe='/')}" if query else ""
    return f"{parts.scheme}://{who}{place}{parts.path}{asked}"


def _parsed(url: str) -> SplitResult:
    if not url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
        raise ValueError("not a Redis's address; allowed: redis://host:port/0, with rediss:// for TLS")
    try:
        parts = urlsplit(url)
        readable = (parts.port or 0) >= 0
    except ValueError:
        readable = False
    host = parts.netloc.rpartition("@")[2].partition(":")[0] if readable and "[" not in url else ""
    misread = (
        not readable
        or any(ord(letter) <= ord(" ") for letter in url)
        or parts.fragment
        or "@" in parts.path + parts.query
        or re.fullmatch(r"(/\d*)?", parts.path) is None
        or _PLACE.fullmatch(host) is None
        or _BARE_PERCENT.search(parts.netloc) is not None
    )
    if misread:
        raise ValueError(f"not a Redis's address; allowed: redis://user:password@host:port/0{_APART}")
    return parts
