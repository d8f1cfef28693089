"""Uses the command `mwdb` against a server, and fails at the first surprise.

Arguments: API URL, login, password. All commands run in this one process: an interpreter for each would
take longer than all the rest. The folder that HOME names is used for configuration and files.
"""

import hashlib
import json
import pathlib
import sys

from click.testing import CliRunner
from mwdblib import MWDB
from mwdblib.__version__ import __version__
from mwdblib.cli import main

url, login, password = sys.argv[1:]


def mwdb(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, f"mwdb {args} ended with {result.exit_code}: {result.output}\n{result.exception!r}"
    return result.output


def items(output):
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


mwdb("server", "--api-url", url)
refused = mwdb("login", "-u", login, "-p", "wrong", "--no-keyring", "--api-url", url, code=1)
assert "Invalid login or password" in refused, refused
mwdb("login", "-u", login, "-p", password, "--no-keyring", "--api-url", url)
assert "2.19.0" in mwdb("server")

sample = pathlib.Path("sample.bin")
sample.write_bytes(b"\x00\xff sample\n")
sha256 = hashlib.sha256(sample.read_bytes()).hexdigest()
assert sha256 in mwdb("upload", sample, "--tag", "first", "--public")
child = pathlib.Path("child.bin")
child.write_bytes(b"child")
mwdb("upload", "file", child, "--parent", sha256, "--private", "--name", "renamed.bin")
config = pathlib.Path("config.json")
config.write_text(json.dumps({"url": ["http://a"], "n": 1}))
mwdb("upload", "config", "family", config, "--parent", sample)
mwdb("upload", "file", pathlib.Path("missing.bin"), code=2)
empty = pathlib.Path("empty.bin")
empty.write_bytes(b"")
assert "ValidationError" in mwdb("upload", empty, code=1)

assert [item["sha256"] for item in items(mwdb("list", "-o", "json"))] == [hashlib.sha256(b"child").hexdigest(), sha256]
assert len(items(mwdb("list", "-n", "1", "-o", "json"))) == 1
assert mwdb("list", "configs", "-o", "short").strip()
assert len(items(mwdb("list", "objects", "-o", "json"))) == 3

for name in (sha256, hashlib.md5(sample.read_bytes()).hexdigest(), sample):
    assert items(mwdb("get", name, "-o", "json"))[0]["id"] == sha256
assert "sample.bin" in mwdb("get", sha256)
assert "ObjectNotFoundError" in mwdb("get", "0" * 64, code=1)
assert len(items(mwdb("get", "children", sha256, "-o", "json"))) == 2

mwdb("fetch", sha256, "fetched.bin")
assert pathlib.Path("fetched.bin").read_bytes() == sample.read_bytes()
mwdb("fetch", "--keep-name", hashlib.sha256(b"child").hexdigest())
assert pathlib.Path("renamed.bin").read_bytes() == b"child"
mwdb("fetch", "0" * 64, "none.bin", code=1)

mwdb("tag", sha256, "Second")
mwdb("tag", "remove", sha256, "first")
assert items(mwdb("get", sha256, "-o", "json"))[0]["tags"] == [{"tag": "second"}]
mwdb("comment", sha256, "--comment", "a comment")
assert [item["comment"] for item in items(mwdb("get", "comments", sha256, "-o", "json"))] == ["a comment"]
mwdb("attribute", sha256, "interop", "value")
assert "value" in mwdb("get", "attributes", sha256)
assert "ObjectNotFoundError" in mwdb("attribute", sha256, "undefined", "value", code=1)
mwdb("metakey", sha256, "interop", "other")
mwdb("share", child, "public")
assert "public" in mwdb("get", "shares", child, "-o", "json")
mwdb("share", child, "no-such-group", code=1)
mwdb("link", child, sha256)
assert items(mwdb("get", "parents", sha256, "-o", "json"))[0]["id"] == hashlib.sha256(b"child").hexdigest()

# Everything else that it offers, and each of its formats
assert mwdb("version").strip() == __version__
blob = MWDB().upload_blob("text", "raw", "zażółć\n", tags=["words"])
(config,) = items(mwdb("list", "configs", "-o", "json"))
objects = {"file": sha256, "config": config["id"], "blob": blob.id}
for word, hash in objects.items():
    assert items(mwdb("get", hash, "-o", "json"))[0]["id"] == hash
    assert mwdb("get", "details", hash, "-o", "short").strip() == hash
    for format in ((), ("-o", "table", "-o", "nocolor", "-o", "nopager"), ("-o", "nohuman", "-o", "nopager")):
        assert mwdb("get", hash, *format).strip()
    for listing in (f"{word}s", "objects"):
        assert hash in mwdb("list", listing, "-o", "short")
        for format in (("-o", "nopager"), ("-o", "table", "-o", "nocolor", "-o", "nohuman", "-o", "nopager")):
            assert hash[:8] in mwdb("list", listing, *format) or word == "file"
        found = mwdb("search", listing, f"dhash:{hash}", "-o", "short")
        assert found.split() == [hash], found
        assert [item["id"] for item in items(mwdb("search", listing, f"dhash:{hash}", "-n", "5", "-o", "json"))] == [hash]
    assert mwdb("search", f"{word}s", "tag:no-such-tag", "-o", "short") == ""
    mwdb("fetch", hash, f"{word}.out")
    mwdb("fetch", hash)
    assert pathlib.Path(hash).read_bytes() == pathlib.Path(f"{word}.out").read_bytes()
    mwdb("tag", "add", hash, f"of-{word}")
    assert mwdb("tag", "add", hash, f"of-{word}", "-o", "short").strip() == hash
    assert f"of-{word}" in mwdb("get", hash, "-o", "json")
    for part in ("parents", "children", "shares", "comments", "metakeys", "attributes"):
        for format in ("json", "short", "table"):
            mwdb("get", part, hash, "-o", format, "-o", "nopager")
assert pathlib.Path("blob.out").read_text() == "zażółć\n" and json.loads(pathlib.Path("config.out").read_text()) == {"url": ["http://a"], "n": 1}
assert mwdb("search", "tag:second", "-o", "short").split() == [sha256]
assert mwdb("get", "shares", child, "-o", "short").split()
assert f"{login} a comment" in mwdb("get", "comments", sha256, "-o", "short")
assert json.loads(mwdb("get", "attributes", sha256, "-o", "json")) == {"interop": ["value", "other"]}
assert json.loads(mwdb("get", "metakeys", sha256, "-o", "json"))["interop"] == ["value", "other"]
assert "ValidationError" in mwdb("search", "needle", code=1)
assert "ValidationError" in mwdb("search", "objects", "tag:a tag:b", code=1)
assert mwdb("upload", "config", "family", "config.json", "--config-type", "dynamic", "-o", "short").strip() == config["id"]
pathlib.Path("in-blob.json").write_text(json.dumps({"raw": {"in-blob": {"blob_name": "n", "blob_type": "raw", "content": "inner"}}}))
outer = mwdb("upload", "config", "family", "in-blob.json", "--tag", "a", "--tag", "b", "--share-with", "public", "-o", "short").strip()
assert len(items(mwdb("get", "children", outer, "-o", "json"))) == 1
mwdb("upload", sample, "--public", "--private", code=2)
assert "ObjectNotFoundError" in mwdb("upload", sample, "--share-with", "no-such-group", code=1)
assert "ObjectNotFoundError" in mwdb("upload", sample, "--parent", "0" * 64, code=1)
for command in (("tag", "0" * 64, "t"), ("comment", "0" * 64, "--comment", "c"), ("share", "0" * 64, "public"), ("link", sha256, "0" * 64)):
    assert "ObjectNotFoundError" in mwdb(*command, code=1)
mwdb("get", "no-hash-and-no-file", code=2)
mwdb("fetch", "no-hash", code=2)
mwdb("no-such-command", code=2)

mwdb("logout")
assert "Not authenticated" in mwdb("list", code=1)
assert "already logged out" in mwdb("logout")
# By key, given as an option or typed, and in a file of one's own
key = MWDB(api_url=url, username=login, password=password, config_path=None).api.post(f"user/{login}/api_key")["token"]
assert "Login failed" in mwdb("login", "-a", key[:-4] + "AAAA", "--no-keyring", code=1)
mwdb("login", "-u", login, "-a", key, "--no-keyring")
assert mwdb("list", "-n", "1", "-o", "short").strip()
result = CliRunner().invoke(main, ["login", "-u", login, "-A", "--no-keyring", "--config-path", "own.ini", "--api-url", url], input=f"{key}\n")
assert result.exit_code == 0, result.output
assert mwdb("list", "-n", "1", "-o", "short", "--config-path", "own.ini").strip()
mwdb("logout", "--config-path", "own.ini")
assert "Not authenticated" in mwdb("list", "--config-path", "own.ini", code=1)
result = CliRunner().invoke(main, ["login", "--no-keyring"], input=f"{login}\n{password}\n")
assert result.exit_code == 0 and f"as {login}" in result.output, result.output
mwdb("logout")
print("null")
