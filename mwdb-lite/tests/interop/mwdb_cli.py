"""Uses the command `mwdb` against a server, and fails at the first surprise.

Arguments: API URL, login, password. All commands run in this one process: an interpreter for each would
take longer than all the rest. The folder that HOME names is used for configuration and files.
"""

import hashlib
import json
import pathlib
import sys

from click.testing import CliRunner
from mwdblib.cli.main import main

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
mwdb("logout")
print("null")
