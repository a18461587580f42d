"""Addresses of files on servers: with an access token at the last moment, and shown without it."""

import re
from urllib.parse import quote, urlsplit, urlunsplit


def shown(url):
    """The address as it may be shown: without user name, password or the value of a token."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "malformed address"
    parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return re.sub(r"(?i)([?&](?:token|key|apikey|password)=)[^&#]*", r"\1***", urlunsplit(parts))


def host_of(url):
    """The host of an http or https address; None for what is none."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        return None
    return host or None


def with_token(url, token):
    """The address with the token in its place, or without the parameter that would hold it."""
    parts = urlsplit(url)
    parameters = [p for p in parts.query.split("&") if token or "{token}" not in p]
    query = "&".join(parameters).replace("{token}", quote(token or "", safe=""))
    return urlunsplit(parts._replace(query=query))
