"""Servers that are set otherwise: what each setting takes away or adds."""

from ..servers import PASSWORD
from ..world import sha
from . import scenario
from .routes import LIST


def server(pair):
    for user in (None, "admin", "alice"):
        pair.get("server", by=user)
        pair.get("server/admin", by=user)


@scenario(ENABLE_MAINTENANCE="1")
def maintenance(pair):
    server(pair)
    for login in ("admin", "alice", "frank", "grace", "nobody"):
        for password in (PASSWORD, "wrong"):
            pair.post("auth/login", {"login": login, "password": password}, by=None)
    for path, *offered in LIST:
        for method in offered:
            for user in (None, "admin's key", "frank's key", "alice"):
                pair.ask(method, path, {} if method in ("POST", "PUT") else None, by=user)
        pair.ask("HEAD", path, by="alice")
        pair.ask("OPTIONS", path, by="alice")
    pair.get("nothing", by="admin's key")


@scenario(ENABLE_PASSWORD_AUTH="0", ENABLE_REGISTRATION="0", ENABLE_3RD_PARTY_SHARING_CONSENT="0", ENABLE_SSDEEP="0")
def closed(pair):
    server(pair)
    for path, body in (
        ("auth/login", {"login": "admin", "password": PASSWORD}),
        ("auth/login", {}),
        ("auth/login", {"login": "x", "password": "y"}),
        ("auth/register", {"login": "x", "email": "x@example.com", "additional_info": "x"}),
        ("auth/register", {}),
        ("auth/change_password", {"token": "x", "password": "long enough"}),
        ("auth/change_password", {}),
        ("auth/recover_password", {"login": "alice", "email": "alice@example.com"}),
        ("auth/recover_password", {}),
        ("auth/request_password_change", {}),
        ("auth/refresh", {}),
        ("user/alice/request_password_change", {}),
    ):
        pair.post(path, body, by=None, label=str(body))
    for method in ("PUT", "GET"):
        pair.ask(method, f"object/{'0' * 64}/share_3rd_party")


@scenario(ENABLE_BROWNOUT="1")
def brownout(pair):
    server(pair)
    for path, *offered in LIST:
        for method in offered:
            for user in (None, "alice", "dave"):
                pair.ask(method, path, {} if method in ("POST", "PUT") else None, by=user)
    pair.upload("in the brownout", by="alice")
    for query in ("?page=1", "?page=2", "?page=", "?page=x", "?count=1"):
        pair.get(f"file{query}", by="alice")
    for options in ({"metakeys": [{"key": "open", "value": "v"}]}, {"metakeys": []}, {"attributes": [{"key": "open", "value": "v"}]}):
        pair.upload(f"in the brownout {options}", options=options, by="alice")
        pair.post("blob", {"blob_name": "x", "blob_type": "y", "content": f"in the brownout of blobs {options}", **options}, by="alice")
    for user in ("alice", "dave"):
        pair.post(f"request/sample/{sha('in the brownout')}", by=user)
        pair.get("meta/manage", by=user)


@scenario(SERVE_WEB="1")
def web(pair):
    for path in ("/api", "/api/", "/api/nothing", "/api/ping/", "/api/ping"):
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
            pair.ask(method, path)
    for path in LIST[:20]:
        for method in ("GET", "HEAD", "PATCH"):
            pair.ask(method, path[0])
