"""Every route: each method, each caller, missing and malformed identifiers."""

import base64
import hashlib
import hmac
import json
import time

from .. import differ, servers
from . import scenario

MISSING = "0" * 64
# Path below /api and the methods that are offered there.
ROUTES = """
ping GET; server GET; server/admin GET; docs GET; auth/login POST; auth/register POST; auth/change_password POST;
auth/request_password_change POST; auth/recover_password POST; auth/refresh POST; auth/validate GET; auth/groups GET;
user/alice/api_key POST; api_key/7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c11 DELETE; object GET; file GET POST; config GET POST; blob GET POST;
object/count GET; file/count GET; config/count GET; blob/count GET; search POST; object/{0} GET DELETE; file/{0} GET DELETE POST;
config/{0} GET DELETE PUT; blob/{0} GET DELETE PUT; config/stats GET; object/{0}/favorite PUT DELETE; object/{0}/share_3rd_party PUT;
file/{0}/download GET POST; file/{0}/download/zip GET POST; request/sample/{0} POST; download/x GET; tag GET; file/{0}/tag GET PUT DELETE;
object/{0}/comment GET POST; object/{0}/comment/1 DELETE; object/{0}/relations GET; object/{0}/child/{0} PUT DELETE; share GET;
object/{0}/share GET PUT; object/quick_query GET POST; quick_query/999 DELETE; object/{0}/attribute GET POST; object/{0}/attribute/999 DELETE;
attribute GET POST; attribute/nokey GET PUT DELETE; attribute/nokey/permissions GET PUT DELETE; object/{0}/meta GET POST DELETE;
meta/list/read GET; meta/list/set GET; meta/manage GET; meta/manage/nokey GET POST PUT DELETE; meta/manage/nokey/permissions/public PUT DELETE;
object/{0}/karton GET POST; object/{0}/karton/7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c11 GET PUT DELETE; user GET; user/nobody GET POST PUT DELETE;
user/nobody/change_password GET; user/nobody/request_password_change POST; user/nobody/pending POST DELETE; profile/nobody GET; group GET;
group/nogroup GET POST PUT DELETE; group/nogroup/member/nobody POST PUT DELETE; varz GET; remote GET; oauth GET; oauth/x GET;
"""
LIST = [entry.split() for entry in ROUTES.format(MISSING).replace("\n", " ").split(";") if entry.strip()]
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE")


@scenario
def methods(pair):
    """What is not offered on a route, and what OPTIONS says."""
    for path, *offered in LIST:
        for method in METHODS:
            if method not in offered:
                pair.ask(method, path, by="admin")
                if method in ("POST", "OPTIONS"):
                    pair.ask(method, path)


@scenario
def callers(pair):
    """Each route as nobody, with a bad token, as who can do nothing, as a disabled and as a waiting user."""
    for path, *offered in LIST:
        for method in offered:
            body = {} if method in ("POST", "PUT") else None
            for user in (None, "dave", "frank", "frank's key"):
                pair.ask(method, path, body, by=user)
            pair.ask(method, path, body, headers={"Authorization": "Bearer garbage"}, label="garbage")


@scenario
def empty_bodies(pair):
    """Each route that takes a body without one, with one that is no JSON, and with one that is no object."""
    for path, *offered in LIST:
        for method in offered:
            if method in ("GET", "DELETE"):
                pair.ask(method, path, by="admin")
                continue
            for body in (
                b"",
                b"{",
                b"null",
                b"[]",
                b'"x"',
                b"1",
                b"{}",
                b"\xff",
                b"\xef\xbb\xbf{}",
                b' {"a": 1} ',
                b"{}x",
                b'{"a":1,}',
                b"{'a':1}",
            ):
                pair.ask(method, path, body, by="admin", headers={"Content-Type": "application/json"}, label=repr(body))
            for kind in (
                None,
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data",
                "application/json; charset=latin-1",
            ):
                pair.ask(method, path, b"{}", by="admin", headers={"Content-Type": kind}, label=f"{{}} as {kind}")
    # What some of these have made.
    pair.delete("user/nobody")
    pair.delete("group/nogroup")
    pair.delete("attribute/nokey")


@scenario
def identifiers(pair):
    """Path parts that are malformed, and those that name nothing."""
    hashes = (
        "root",
        "ROOT",
        "x",
        "0" * 31,
        "0" * 32,
        "0" * 33,
        "0" * 40,
        "0" * 64,
        "A" * 64,
        "0" * 128,
        "0" * 129,
        "g" * 64,
        "0" * 63 + "%20",
        "0" * 32 + "%00",
        "%30" * 32,
        "0" * 64 + "/",
        "/" + "0" * 64,
        "-",
        "%2F",
        "0" * 64 + "%2Ftag",
    )
    for kind in ("file", "config", "blob", "object", "FILE", "sample", "%66ile"):
        for dhash in hashes:
            for rest in ("", "/tag", "/comment", "/karton", "/share", "/relations", "/attribute", "/download"):
                pair.get(f"{kind}/{dhash}{rest}")
        pair.put(f"{kind}/{MISSING}/tag", {"tag": "x"})
        pair.get(f"{kind}/count")
        pair.get(f"{kind}/quick_query")
        pair.get(kind)
    for path in (
        "file/0/tag",
        f"object/{MISSING}/comment/x",
        f"object/{MISSING}/comment/-1",
        f"object/{MISSING}/comment/1.0",
        f"object/{MISSING}/comment/99999999999999999999",
        f"object/{MISSING}/attribute/x",
        f"object/{MISSING}/attribute/99999999999999999999",
        "quick_query/x",
        "quick_query/-1",
        "quick_query/99999999999999999999",
        "quick_query/0",
        "quick_query/%31",
        "quick_query/1_0",
        "quick_query/+1",
        "api_key/x",
        "api_key/7B0E3B6E0C5B4D0E9D520C8F3A2F6C11",
        "api_key/{7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c11}",
        "api_key/urn:uuid:7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c11",
        "api_key/7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c1",
    ):
        pair.delete(path)
    for path in (
        "",
        "/",
        "ping/",
        "Ping",
        "PING",
        "nothing",
        "file/",
        "object//tag",
        "user/",
        "group/",
        "user/a/b",
        "auth",
        "auth/",
        "meta",
        "meta/list",
        "meta/list/x",
        "meta/list/READ",
        "remote/x",
        "remote/x/api/file",
        "remote/x/pull/file/" + MISSING,
        "profile",
        "profile/",
        "search",
        "download",
        "request/sample",
        "docs/",
        "%70ing",
        "ping?x=%FF",
        "server?%00=1",
        "ping;x",
        "ping%3Bx",
        "ping%20",
        "%20ping",
        "../api/ping",
        "./ping",
        "user/..",
        "a" * 2000,
    ):
        for method in ("GET", "POST", "PUT", "DELETE"):
            pair.ask(method, path, by="admin")
        pair.ask("GET", path)
    for path in (
        "/",
        "/index.html",
        "/api",
        "/api/",
        "/api//ping",
        "//api/ping",
        "/apiping",
        "/API/ping",
        "/ping",
        "/static/x",
        "/favicon.ico",
        "/docs",
        "/login",
    ):
        for method in ("GET", "POST", "HEAD", "OPTIONS"):
            pair.ask(method, path, by="admin")
    for login in (
        "nobody",
        "x" * 32,
        "x" * 33,
        "x" * 200,
        "%20",
        "a%20b",
        "%C4%85",
        "private",
        "PRIVATE",
        "public",
        "a.b",
        "a-b_c",
        "%0A",
        "ab%0A",
        "admin%00",
        "a%2Fb",
        "%00",
        "😀",
    ):
        login = login if login.isascii() else "%F0%9F%98%80"
        for path in (
            f"user/{login}",
            f"profile/{login}",
            f"group/{login}",
            f"user/{login}/change_password",
            f"attribute/{login}",
            f"attribute/{login}/permissions",
            f"meta/manage/{login}",
        ):
            pair.get(path)
        for path, body in (
            (f"user/{login}", {"email": "a@example.com"}),
            (f"group/{login}", {"default": False}),
            (f"attribute/{login}", {"label": "x"}),
            (f"group/crew/member/{login}", {"group_admin": True}),
            (f"group/{login}/member/alice", {"group_admin": True}),
            (f"meta/manage/{login}", {"label": "x"}),
        ):
            if login not in ("public", "private"):
                pair.put(path, body)
        for path in (f"group/crew/member/{login}", f"group/{login}/member/dave", f"user/{login}/pending", f"user/{login}/api_key"):
            if login != "public":
                pair.post(path)
        for path in (
            f"group/crew/member/{login}",
            f"group/{login}/member/dave",
            f"user/{login}/pending?send_email=0",
            f"user/{login}",
            f"group/{login}",
            f"attribute/{login}",
        ):
            pair.delete(path)


@scenario
def tokens(pair):
    """Forged, old and foreign tokens; how the header is read."""

    def b64(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def jwt(payload, header=None, secret=servers.SECRET, digest=hashlib.sha512):
        head = b64(json.dumps(header or {"alg": "HS512", "typ": "JWT"}).encode())
        body = b64(json.dumps(payload).encode())
        return f"{head}.{body}.{b64(hmac.new(secret.encode(), f'{head}.{body}'.encode(), digest).digest())}"

    now = int(time.time())
    good = {"iat": now, "exp": now + 600, "aud": servers.BASE_URL, "scope": "session", "login": "alice", "sub": "alice", "provider": None}
    versions = [differ.claims(pair.variables[index]["token of alice"])[1] for index in (0, 1)]
    changes = {
        "as issued": {},
        "no exp": {"exp": ...},
        "old": {"exp": now - 1},
        "exp text": {"exp": "x"},
        "exp float": {"exp": now + 600.5},
        "no iat": {"iat": ...},
        "future iat": {"iat": now + 600},
        "iat text": {"iat": "x"},
        "no aud": {"aud": ...},
        "other aud": {"aud": "x"},
        "aud list": {"aud": ["x", servers.BASE_URL]},
        "aud empty": {"aud": []},
        "aud null": {"aud": None},
        "no scope": {"scope": ...},
        "other scope": {"scope": "set_password"},
        "scope number": {"scope": 1},
        "no sub": {"sub": ...},
        "sub number": {"sub": 1},
        "unknown sub": {"sub": "nobody"},
        "other login": {"login": "admin"},
        "no login": {"login": ...},
        "no provider": {"provider": ...},
        "no password_ver": {"password_ver": ...},
        "no identity_ver": {"identity_ver": ...},
        "bad password_ver": {"password_ver": "x"},
        "null identity_ver": {"identity_ver": None},
        "nbf": {"nbf": now + 600},
        "nbf past": {"nbf": now - 5},
        "extra": {"x": 1},
        "provider": {"provider": "x"},
        "iss": {"iss": "x"},
        "jti number": {"jti": 1},
        "crit": {},
        "exp huge": {"exp": 10**20},
        "exp negative": {"exp": -1},
        "exp bool": {"exp": True},
        "exp null": {"exp": None},
        "iat null": {"iat": None},
    }
    for name, change in changes.items():
        for index in (0, 1):
            claims = good | {key: versions[index][key] for key in ("password_ver", "identity_ver")} | change
            claims = {key: value for key, value in claims.items() if value is not ...}
            pair.variables[index]["token of forged"] = jwt(claims)
        pair.get("auth/validate", by="forged", label=name)
        pair.get("server", by="forged", label=name)
    for index in (0, 1):
        claims = good | {key: versions[index][key] for key in ("password_ver", "identity_ver")}
        kept = pair.variables[index]
        kept["token of HS256"] = jwt(claims, {"alg": "HS256", "typ": "JWT"}, digest=hashlib.sha256)
        kept["token of none"] = ".".join(jwt(claims, {"alg": "none", "typ": "JWT"}).split(".")[:2]) + "."
        kept["token of no typ"] = jwt(claims, {"alg": "HS512"})
        kept["token of other secret"] = jwt(claims, secret="x")
        kept["token of padded"] = jwt(claims) + "="
        kept["token of four parts"] = jwt(claims) + ".x"
        kept["token of key"] = jwt(
            {
                "iat": now,
                "aud": servers.BASE_URL,
                "scope": "api_key",
                "api_key_id": kept["id of admin's key"],
                "login": "admin",
                "sub": "admin",
            }
        )
        kept["token of key of other login"] = jwt(
            {"iat": now, "aud": servers.BASE_URL, "scope": "api_key", "api_key_id": kept["id of admin's key"], "login": "bob", "sub": "bob"}
        )
        kept["token of key without sub"] = jwt(
            {"iat": now, "aud": servers.BASE_URL, "scope": "api_key", "api_key_id": kept["id of admin's key"], "login": "admin"}
        )
        kept["token of key that is no uuid"] = jwt(
            {"iat": now, "aud": servers.BASE_URL, "scope": "api_key", "api_key_id": "x", "login": "admin", "sub": "admin"}
        )
        kept["token of key that is a number"] = jwt(
            {"iat": now, "aud": servers.BASE_URL, "scope": "api_key", "api_key_id": 5, "login": "admin", "sub": "admin"}
        )
        kept["token of legacy 1"] = jwt({"login": "alice", "version_uid": None})
        kept["token of legacy 1 wrong"] = jwt({"login": "alice", "version_uid": "x"})
        kept["token of legacy 1 more"] = jwt({"login": "alice", "version_uid": None, "x": 1})
        kept["token of legacy 2"] = jwt({"login": "admin", "api_key_id": kept["id of admin's key"]})
        kept["token of legacy 2 other"] = jwt({"login": "bob", "api_key_id": kept["id of admin's key"]})
        kept["token of legacy 1 nobody"] = jwt({"login": "nobody", "version_uid": None})
        kept["token of legacy 1 disabled"] = jwt({"login": "frank", "version_uid": None})
        kept["token of legacy 1 pending"] = jwt({"login": "grace", "version_uid": None})
        kept["token of empty"] = jwt({})
        kept["token of list"] = jwt([])
        kept["token of link"] = jwt(
            {
                "iat": now,
                "exp": now + 60,
                "aud": servers.BASE_URL,
                "scope": "set_password",
                "password_ver": versions[index]["password_ver"],
                "login": "alice",
                "sub": "alice",
            }
        )
    names = [name[9:] for name in pair.variables[0] if name.startswith("token of ")]
    for name in names:
        pair.get("auth/validate", by=name, label=f"token of {name}")
    kept = "<<token of alice>>"
    for header in (
        f"Bearer {kept}",
        f"bearer {kept}",
        f"BEARER {kept}",
        f"Bearer  {kept}",
        f"Bearer {kept} ",
        f"Bearer\t{kept}",
        kept,
        f"Token {kept}",
        f"Basic {kept}",
        "Bearer",
        "Bearer ",
        "",
        f"Bearer {kept},x",
        f"Bearer {kept} x",
        "Basic YWRtaW46YWRtaW4=",
        f"Bearer: {kept}",
        f'Bearer token="{kept}"',
    ):
        pair.get("auth/validate", by=None, headers={"Authorization": header}, label=header)
    pair.get("auth/validate?token=<<token of alice>>", by=None)
    pair.post("auth/refresh", by="alice")
    pair.post("auth/refresh", by="admin's key")
    pair.get("auth/validate", by="admin's key")
