"""Uploads with rich values, relations, favourites, deletion, downloads, and who sees what of them."""

import json

from ..wire import Multipart
from ..world import ERIN, sha
from . import scenario

EVERYBODY = ("admin", "alice", "bob", "carol", "dave", "erin")


@scenario
def config_values(pair):
    """Numbers, texts and shapes in configs: what comes back, and under which id."""
    values = [
        0,
        -0.0,
        1,
        1.0,
        1.10,
        1e5,
        1e15,
        1e16,
        1e22,
        1e23,
        1e-4,
        1e-5,
        1e-7,
        5e-324,
        1.7976931348623157e308,
        0.1,
        0.30000000000000004,
        123456789012345680.0,
        10**30,
        -(10**30),
        2**63,
        2**64,
        -(2**63) - 1,
        True,
        False,
        None,
        "",
        "1",
        "True",
        "None",
        "ą",
        "😀",
        "\u0000",
        "a\u0000b",
        "\ud800",
        "\udc00x",
        "\u2028",
        "\x7f",
        "\\u0000",
        "\\",
        '"',
        [],
        {},
        [[]],
        [{}],
        [1, "1", True, None],
        [True, 1],
        [3, 1, 2],
        [1, 2, 3],
        {"a": {"b": {"c": []}}},
        {"": 1},
        {"ą": 1},
        {"a\u0000": 1},
        {"in-blob": 1},
        {"a": {"in-blob": "x"}},
        ["x" * 1000],
        {"b": 1, "a": 2},
        "x" * 70000,
        list(range(500)),
        3.0e0,
        100,
        1e2,
    ]
    for value in values:
        answers = pair.post("config", {"family": "values", "cfg": {"v": value}}, by="alice", label=f"{value!a:.40}")
        pair.keep("config", answers, "id")
        pair.get("config/<<config>>", by="alice", label=f"{value!a:.40}")
    for text in (
        '{"a":1,"a":2}',
        '{"a":1.0}',
        '{"a":1e0}',
        '{"a":1E+2}',
        '{"a":-0}',
        '{"a":-0.0}',
        '{"a":1e400}',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":-Infinity}',
        '{"a":01}',
        '{"a":1.}',
        '{"a":.5}',
        '{"a":+1}',
        '{"a":0x1}',
        '{"a":"\\ud83d\\ude00"}',
        '{"a":"\\ud83d"}',
        '{"a":"\t"}',
        '{"a":"\\x41"}',
        '{"a":"\\/"}',
        "{a:1}",
        "{}",
        '{"a":tru}',
        '{"a":1}//x',
        '{"\\u0061":1}',
        '{"a":[1,]}',
        '{"a":' + "[" * 150 + "]" * 150 + "}",
        '{"a":' + "[" * 600 + "]" * 600 + "}",
        '{"a":' + "9" * 400 + "}",
        '{"a":' + "9" * 5000 + "}",
        '{"a":1.' + "9" * 400 + "}",
        '{"\\ud800":1}',
        '{"a":123456789012345678901234567890.5}',
        '{"a":1e-400}',
        '{"a":0.1e1}',
        '{"a":100000000000000000000000.0}',
        '{"a":{"__proto__":1}}',
        '{"a":{"constructor":{}}}',
    ):
        answers = pair.post("config", b'{"family":"raw","cfg":' + text.encode("utf-8", "surrogatepass") + b"}", by="alice", label=text[:60])
        pair.keep("config", answers, "id")
        pair.get("config/<<config>>", by="alice", label=text[:60])


@scenario
def embedded_blobs(pair):
    blob = {"blob_name": "embedded", "blob_type": "raw", "content": "embedded content"}
    for user in ("alice", "bob", "dave", "carol"):
        for label, cfg in {
            "blob": {"raw": {"in-blob": blob}},
            "reference": {"raw": {"in-blob": sha("embedded content")}},
            "upper": {"raw": {"in-blob": sha("embedded content").upper()}},
            "both": {"a": {"in-blob": blob}, "b": {"in-blob": sha("embedded content")}},
            "twice": {"a": {"in-blob": blob}, "b": {"in-blob": blob}},
            "missing": {"raw": {"in-blob": "0" * 64}},
            "no hash": {"raw": {"in-blob": "x"}},
            "empty": {"raw": {"in-blob": ""}},
            "number": {"raw": {"in-blob": 1}},
            "null": {"raw": {"in-blob": None}},
            "list": {"raw": {"in-blob": []}},
            "other key": {"raw": {"in-blob": blob, "x": 1}},
            "deep": {"raw": {"x": {"in-blob": blob}}},
            "in a list": {"raw": [{"in-blob": blob}]},
            "extra": {"raw": {"in-blob": blob | {"extra": 1}}},
            "no name": {"raw": {"in-blob": {"blob_type": "x", "content": "y"}}},
            "no type": {"raw": {"in-blob": {"blob_name": "x", "content": "y"}}},
            "no content": {"raw": {"in-blob": {"blob_name": "x", "blob_type": "y"}}},
            "null name": {"raw": {"in-blob": blob | {"blob_name": None}}},
            "number content": {"raw": {"in-blob": blob | {"content": 1}}},
            "empty blob": {"raw": {"in-blob": blob | {"content": ""}}},
            "empty object": {"raw": {"in-blob": {}}},
            "long type": {"raw": {"in-blob": blob | {"blob_type": "x" * 33, "content": "long type"}}},
            "nul": {"raw": {"in-blob": blob | {"content": "n\u0000l"}}},
            "top": {"in-blob": blob},
            "top reference": {"in-blob": sha("embedded content")},
            "of a file": {"raw": {"in-blob": sha("file of search")}},
            "content of a file": {"raw": {"in-blob": blob | {"content": "file of search"}}},
            "mixed": {"good": {"in-blob": blob | {"content": "mixed"}}, "bad": {"in-blob": 1}},
            "surrogate": {"raw": {"in-blob": blob | {"content": "\ud800"}}},
        }.items():
            answers = pair.post(
                "config",
                {
                    "family": "embeds",
                    "cfg": cfg | {"of": [user]},
                    "tags": [{"tag": "outer"}],
                    "attributes": [{"key": "open", "value": "outer"}],
                },
                by=user,
                label=label,
            )
            pair.keep("config", answers, "id")
            pair.get("config/<<config>>", by=user, label=label)
            for child in (sha("embedded content"), sha("mixed"), sha("")):
                for viewer in ("alice", "bob", "carol"):
                    pair.get(f"blob/{child}", by=viewer, label=label)
    pair.get(f"blob/{sha('embedded content')}/share", by="erin")


@scenario
def conflicts(pair):
    pair.upload("same content", by="alice")
    for user in ("alice", "carol"):
        pair.post("blob", {"blob_name": "x", "blob_type": "x", "content": "same content"}, by=user)
    pair.post("blob", {"blob_name": "x", "blob_type": "x", "content": "same blob"}, by="alice")
    for user in ("alice", "carol"):
        pair.upload("same blob", by=user)
    pair.upload("[]", by="alice")
    for content in ("same content", "same blob"):
        for user in ("alice", "carol"):
            for kind in ("object", "file", "blob", "config"):
                pair.get(f"{kind}/{sha(content)}", by=user)
    for text in (
        "MZ" + "\0" * 200,
        "%PDF-1.4\n",
        "#!/bin/sh\necho",
        "PK\3\4" + "x" * 40,
        "<html><body>",
        "{}",
        "\u0000",
        "a",
        "x\n" * 2000,
        "\x7fELF" + "\x01" * 60,
        "ąćę",
        "GIF89a" + "x" * 20,
    ):
        pair.upload(text, by="alice", label=text[:10])
    import random

    chance = random.Random(7)
    for size in (1, 4096, 5000, 100000, 300000):
        pair.upload(chance.randbytes(size), by="alice", label=f"{size} random bytes")
        pair.upload((b"line of text %d\n" % size) * (size // 16 + 1), by="alice", label=f"{size} bytes of text")


def share_of_all(pair, names, label=""):
    for name in names:
        for user in EVERYBODY:
            pair.get(f"object/{sha(name)}", by=user, label=label)
            pair.get(f"object/{sha(name)}/share", by=user, label=label)


@scenario
def relations(pair):
    """Inheritance, unlinking, deletion, favourites, as all see them."""
    names = [f"related {index}" for index in range(6)]
    link = lambda method, parent, child, user, kind="object": pair.ask(
        method, f"{kind}/{sha(names[parent])}/child/{sha(names[child])}", by=user
    )
    for index, (name, user) in enumerate(zip(names, ("alice", "bob", "carol", "alice", "carol", "admin"), strict=True)):
        pair.upload(name, by=user, options={"upload_as": "private" if index in (1, 4) else "*"})
    share_of_all(pair, names, "uploaded")
    for method in ("PUT", "DELETE", "PUT", "PUT"):
        for parent, child, user in (
            (0, 1, "alice"),
            (0, 0, "alice"),
            (0, 3, "alice"),
            (3, 0, "alice"),
            (2, 4, "carol"),
            (0, 2, "alice"),
            (2, 3, "erin"),
            (3, 1, "erin"),
            (5, 4, "erin"),
            (1, 5, "erin"),
            (0, 1, "bob"),
            (0, 1, "dave"),
        ):
            link(method, parent, child, user)
        share_of_all(pair, names, method)
    for kind in ("file", "config", "blob"):
        link("PUT", 0, 3, "alice", kind)
        link("DELETE", 0, 3, "alice", kind)
    for name in names[:3]:
        for kind in ("file", "object", "blob"):
            pair.get(f"{kind}/{sha(name)}/relations", by="alice")
    pair.upload("related child", by="alice", options={"parent": sha(names[0])})
    pair.upload("related child", by="carol", options={"parent": sha(names[2])})
    pair.upload("related child", by="bob")
    pair.upload("related child", by="alice", options={"parent": sha(names[0]), "upload_as": "public"})
    share_of_all(pair, ["related child"], "uploaded again")
    pair.get(f"object/{sha(names[4])}", by="erin")
    pair.put("group/erin", {"capabilities": ["share_queried_objects", "adding_parents"]})
    pair.get(f"object/{sha(names[4])}", by="erin", label="queried")
    pair.get(f"object/{sha(names[2])}", by="erin", label="queried")
    share_of_all(pair, names, "queried")
    pair.put("group/erin", {"capabilities": list(ERIN)})
    for user in ("alice", "bob", "dave", "carol"):
        for method in ("PUT", "PUT", "GET", "DELETE", "DELETE", "PUT"):
            pair.ask(method, f"object/{sha(names[0])}/favorite" if method != "GET" else f"object/{sha(names[0])}", by=user)
        pair.put(f"file/{sha(names[0])}/favorite", by=user)
        pair.put(f"object/{sha(names[0])}/share_3rd_party", by=user)
    pair.put(f"file/{sha(names[0])}/share_3rd_party", by="alice")
    link("DELETE", 0, 1, "alice")
    share_of_all(pair, names, "unlinked")
    link("DELETE", 0, 1, "bob")
    link("DELETE", 0, 2, "carol")
    for index, user in ((0, "dave"), (0, "carol"), (0, "bob"), (0, "alice"), (0, "alice"), (2, "alice"), (2, "carol")):
        pair.delete(f"object/{sha(names[index])}", by=user)
        share_of_all(pair, [*names, "related child"], f"deleted {index}")
    pair.upload(names[0], by="bob")
    share_of_all(pair, names[:1], "uploaded after deletion")
    for kind in ("config", "blob"):
        pair.delete(f"{kind}/{sha(names[3])}", by="alice")
    pair.delete(f"file/{sha(names[3])}", by="alice")
    # Accounts and groups go.
    pair.account("leaver", "adding_files", "adding_comments", "adding_parents", "personalize", groups=("crew",))
    pair.upload("of the leaver", by="leaver")
    pair.upload("of the leaver, private", by="leaver", options={"upload_as": "private", "parent": sha("of the leaver")})
    pair.put(f"object/{sha('of the leaver')}/share", {"group": "public"}, by="leaver")
    pair.post(f"object/{sha('of the leaver')}/comment", {"comment": "bye"}, by="leaver")
    pair.post("group/leavers")
    pair.post("group/leavers", {})
    pair.post("group/leavers/member/leaver")
    pair.put(f"object/{sha('of the leaver, private')}/share", {"group": "leavers"}, by="leaver")
    pair.delete("group/crew/member/leaver")
    share_of_all(pair, ["of the leaver", "of the leaver, private"], "left")
    pair.get(f"object/{sha('of the leaver')}", by="leaver")
    pair.delete("group/leavers")
    share_of_all(pair, ["of the leaver", "of the leaver, private"], "group is gone")
    pair.delete("user/leaver")
    pair.get("auth/validate", by="leaver")
    share_of_all(pair, ["of the leaver", "of the leaver, private"], "user is gone")
    pair.get(f"object/{sha('of the leaver')}/comment", by="alice")
    for user in EVERYBODY:
        pair.get("object?count=40", by=user)


@scenario
def legacy_uploads(pair):
    pair.upload("legacy parent", by="alice")
    parent = sha("legacy parent")
    metakeys = json.dumps({"metakeys": [{"key": "open", "value": "v"}]})
    count = iter(range(1000))
    for kind, path in (
        ("file", "root"),
        ("file", parent),
        ("file", "0" * 64),
        ("config", "root"),
        ("config", parent),
        ("blob", "root"),
        ("blob", parent),
        ("blob", "ROOT"),
        ("file", sha("legacy parent").upper()),
    ):
        for label, fields in {
            "plain": {},
            "metakeys": {"metakeys": metakeys},
            "empty metakeys": {"metakeys": ""},
            "no metakeys inside": {"metakeys": "{}"},
            "bad metakeys": {"metakeys": "{"},
            "metakeys list": {"metakeys": "[]"},
            "metakeys null": {"metakeys": "null"},
            "metakeys null inside": {"metakeys": '{"metakeys": null}'},
            "metakeys not set": {"metakeys": json.dumps({"metakeys": [{"key": "nokey", "value": "v"}]})},
            "metakeys odd": {"metakeys": json.dumps({"metakeys": [{"key": "open", "value": 1}]})},
            "metakeys more": {"metakeys": json.dumps({"metakeys": [], "x": 1})},
            "metakeys with more": {"metakeys": json.dumps({"metakeys": [{"key": "open", "value": "v", "x": 1}]})},
            "upload_as": {"upload_as": "private"},
            "upload_as empty": {"upload_as": ""},
            "upload_as nogroup": {"upload_as": "nogroup"},
            "upload_as public": {"upload_as": "public"},
            "json": {"json": json.dumps({"tags": [{"tag": "legacy"}], "share_3rd_party": False})},
            "json and upload_as": {"json": json.dumps({"upload_as": "crew"}), "upload_as": "private"},
            "bad json": {"json": "{"},
            "json unknown": {"json": '{"x": 1}'},
            "json list": {"json": "[]"},
            "json parent": {"json": json.dumps({"parent": parent})},
            "json metakeys and metakeys": {"json": json.dumps({"metakeys": [{"key": "open", "value": "w"}]}), "metakeys": metakeys},
            "parent field": {"parent": parent},
            "karton": {"metakeys": json.dumps({"metakeys": [{"key": "karton", "value": "7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c21"}]})},
        }.items():
            number = next(count)
            base = (
                {}
                if kind == "file"
                else {"family": "legacy", "cfg": {"legacy": number}}
                if kind == "config"
                else {"blob_name": "n", "blob_type": "t", "content": f"legacy blob {number}"}
            )
            for user in ("alice",) if label not in ("plain", "upload_as") else ("alice", "bob", "dave"):
                if kind == "file":
                    answers = pair.post(
                        f"file/{path}", Multipart(("file", f"legacy file {number}", "legacy.bin"), *fields.items()), by=user, label=label
                    )
                else:
                    given = fields.get("json")
                    try:
                        merged = json.dumps(base | json.loads(given)) if given else json.dumps(base)
                    except (ValueError, TypeError):
                        merged = given
                    answers = pair.put(
                        f"{kind}/{path}",
                        Multipart(("json", merged), *((key, value) for key, value in fields.items() if key != "json")),
                        by=user,
                        label=label,
                    )
                    pair.put(f"{kind}/{path}", Multipart(*fields.items()), by=user, label=f"{label} without json")
                pair.keep("legacy", answers, "id")
                pair.get(f"{kind}/<<legacy>>", by="alice", label=label)
                pair.get("object/<<legacy>>/share", by="alice", label=label)
        if kind != "file":
            base = (
                {"family": "legacy", "cfg": {"json": 1}}
                if kind == "config"
                else {"blob_name": "n", "blob_type": "t", "content": "legacy json"}
            )
            for content_type in (
                "application/json",
                "application/json; charset=utf-8",
                "text/plain",
                None,
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
            ):
                pair.ask(
                    "PUT",
                    f"{kind}/{path}",
                    json.dumps(base).encode(),
                    by="alice",
                    headers={"Content-Type": content_type},
                    label=str(content_type),
                )
            from urllib.parse import urlencode

            pair.ask(
                "PUT",
                f"{kind}/{path}",
                urlencode({"json": json.dumps(base), "upload_as": "private"}).encode(),
                by="alice",
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                label="urlencoded",
            )
            for more in ({"parent": "x"}, {"upload_as": "private"}, {"tags": [{"tag": "t"}]}, {"x": 1}):
                number = next(count)
                own = {"cfg": {"json": number}} if kind == "config" else {"content": f"legacy json {number}"}
                pair.put(f"{kind}/{path}", base | own | more, by="alice", label=f"{more}")
            for body in ({}, [], None):
                pair.put(f"{kind}/{path}", body, by="alice", label=f"{body}")
    pair.get(f"file/{parent}", by="alice")


@scenario
def downloads(pair):
    import random

    content = random.Random(3).randbytes(1000)
    dhash = sha(content)
    pair.upload(content, name="down.bin", by="alice")
    path = f"file/{dhash}/download"
    for user in (None, "alice", "bob", "carol", "dave", "frank", "frank's key"):
        for extra in ("", "/zip"):
            pair.get(path + extra, by=user, compare=extra == "")
            pair.post(path + extra, by=user)
            for kind in ("object", "config", "blob"):
                pair.get(f"{kind}/{dhash}/download{extra}", by=user)
    for index, extra in enumerate(("", "/zip")):
        pair.keep(f"download {index}", pair.post(path + extra, by="alice"), "token")
    pair.get(f"{path}/zip", by="carol")
    for user in (None, "carol", "frank's key"):
        for token in ("<<download 0>>", "<<download 1>>", "", "x", "<<token of alice>>", "<<download 0>>x"):
            for where in (path, path.replace(dhash, dhash.upper()), path.replace(dhash, "0" * 64)):
                pair.get(f"{where}?token={token}", by=user)
            pair.ask("GET", f"download/{token}", by=user)
    answers = pair.get(f"file/{dhash}", by="alice")
    for word in ("md5", "sha1", "sha512"):
        pair.keep("digest", answers, word)
        pair.get("file/<<digest>>/download?token=<<download 0>>", by=None)
        pair.get("file/<<digest>>/download", by="alice")
        pair.post("request/sample/<<digest>>", by="alice")
    for text in (
        "bytes=0-9",
        "bytes=0-",
        "bytes=-10",
        "bytes=990-",
        "bytes=990-2000",
        "bytes=999-999",
        "bytes=999-",
        "bytes=1000-",
        "bytes=1000-1001",
        "bytes=10-5",
        "bytes=-0",
        "bytes=-1000",
        "bytes=-1001",
        "bytes=-5000",
        "bytes=--5",
        "bytes=-100-",
        "bytes=0-0",
        "bytes=",
        "bytes",
        "",
        " ",
        "bytes=x-y",
        "bytes=0-x",
        "bytes=0-9,20-29",
        "bytes=0-9,",
        "bytes=,0-9",
        "bytes=0-9, 20-29",
        "items=0-9",
        "BYTES=0-9",
        "Bytes = 0-9",
        "bytes = 0 - 9",
        "bytes=0 -9",
        "bytes= 0-9",
        "bytes=0-9 ",
        "bytes=+0-9",
        "bytes=0x0-9",
        "bytes=00-09",
        "bytes=1.0-2",
        "bytes=0-99999999999999999999",
        "bytes=99999999999999999999-",
        "bytes=-99999999999999999999",
        "bytes=0-9;",
        "bytes:0-9",
        "0-9",
        "bytes=0_0-9",
        "bytes=500",
        "bytes=0--9",
    ):
        pair.get(path, by="alice", headers={"Range": text}, label=text)
        pair.get(f"{path}?obfuscate=1", by="alice", headers={"Range": text}, label=f"obfuscated {text}")
    for query in (
        "obfuscate=1",
        "obfuscate=0",
        "obfuscate=true",
        "obfuscate=x",
        "obfuscate=",
        "obfuscate=2",
        "obfuscate=1&obfuscate=0",
        "obfuscate=yes",
        "x=1",
    ):
        pair.get(f"{path}?{query}", by="alice")
        pair.get(f"{path}/zip?{query}", by="carol")
    for header in (
        {"If-None-Match": "*"},
        {"If-Modified-Since": "Wed, 21 Oct 2099 07:28:00 GMT"},
        {"If-Range": '"x"', "Range": "bytes=0-9"},
        {"Accept": "text/html"},
        {"Accept-Encoding": "gzip"},
        {"X-Requested-With": "x"},
    ):
        pair.get(path, by="alice", headers=header, label=str(header))
        pair.get("server", headers=header, label=str(header))
        pair.get("object", headers=header, label=str(header))
    for name in ("x", dhash, dhash.upper(), "0" * 64, "root", "a%20b", "%2F"):
        pair.post(f"request/sample/{name}", by="alice")
        pair.post(f"request/sample/{name}", by="carol")
    pair.keep("url", pair.post(f"request/sample/{dhash}", by="alice"), lambda body: body["url"].rsplit("/", 1)[1])
    pair.get("download/<<url>>", by=None)
    pair.get(f"{path}?token=<<url>>", by=None)
    pair.get("download/<<url>>", by=None, headers={"Range": "bytes=0-9"})
    for name in ("plain.txt", "ą.txt", "", "a b.exe"):
        pair.upload(f"named {name}", name=name or "x", by="alice")
        pair.get(f"file/{sha(f'named {name}')}/download", by="alice")


@scenario
def many_relatives(pair):
    """More relatives than a view holds, of two types; configs of which the newest is shown."""
    pair.upload("of many", by="alice")
    many = sha("of many")
    for index in range(103):
        pair.upload(f"one of many {index}", by="alice" if index % 3 else "bob", options={"upload_as": "crew" if index % 3 else "private"})
        pair.put(f"object/{many}/child/{sha(f'one of many {index}')}", by="alice" if index % 3 else "admin")
    for index, user in enumerate(("alice", "bob", "carol", "alice")):
        options = {"upload_as": "private"} if user == "bob" else {}
        answers = pair.post("config", {"family": "many", "cfg": {"many": index}, **options}, by=user)
        pair.keep(f"config {index}", answers, "id")
        pair.put(f"object/{many}/child/<<config {index}>>", by="admin")
        for viewer in ("admin", "alice", "bob", "carol"):
            pair.get(f"file/{many}", by=viewer)
    for viewer in ("admin", "alice", "bob", "carol", "dave"):
        pair.get(f"file/{many}", by=viewer)
        pair.get(f"file/{many}/relations", by=viewer)
        pair.get(f"object?query=parent:(dhash:{many})&count=40", by=viewer)
        pair.get(f"object/count?query=parent:(dhash:{many})", by=viewer)
    pair.delete("object/<<config 3>>", by="alice")
    pair.get(f"file/{many}", by="alice")
    pair.post("blob", {"blob_name": "n", "blob_type": "t", "content": "blob of many", "parent": "<<config 0>>"}, by="alice")
    pair.put(f"object/{sha('blob of many')}/child/<<config 0>>", by="alice")
    pair.get(f"blob/{sha('blob of many')}", by="alice")
    pair.get("config/<<config 0>>", by="alice")
