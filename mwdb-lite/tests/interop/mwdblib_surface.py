"""Uses the public surface of mwdblib against a server, and fails at the first surprise.

Arguments: API URL, login, password. The server must have Karton enabled.
"""

import datetime
import hashlib
import sys
import uuid

from mwdblib import MWDB
from mwdblib.exc import (
    EndpointNotFoundError,
    InvalidCredentialsError,
    NotAuthenticatedError,
    ObjectNotFoundError,
    TypeConflictError,
    ValidationError,
)

url, login, password = sys.argv[1:]


def refused(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error as raised:
        assert type(raised) is error, f"{type(raised)} instead of {error}"
        return
    raise AssertionError(f"{call} was not refused with {error}")


def is_now(moment):
    assert abs(datetime.datetime.now(datetime.timezone.utc) - moment) < datetime.timedelta(minutes=5), moment


# Logging in, by password and by key
stranger = MWDB(api_url=url, use_keyring=False)
refused(NotAuthenticatedError, stranger.api.get, "auth/validate")
refused(InvalidCredentialsError, stranger.login, login, "wrong")
mwdb = MWDB(api_url=url, use_keyring=False)
mwdb.login(login, password)
assert mwdb.api.get("auth/validate")["login"] == login
assert mwdb.api.server_version.startswith("2.19.0"), mwdb.api.server_version
assert mwdb.api.supports_version("2.6.0")
key = mwdb.api.post(f"user/{login}/api_key", json={"name": "interop"})
mwdb = MWDB(api_url=url, api_key=key["token"], use_keyring=False)
assert mwdb.api.logged_user == login
refused(EndpointNotFoundError, mwdb.api.get, "no/such/route")

# Definitions first: undefined keys cannot be set
for name in ("interop", "other"):
    definition = {"key": name, "label": name, "description": "", "hidden": False}
    mwdb.api.post("attribute", json=definition)

# Files
content = b"MZ\x00interop\xff"
sha256 = hashlib.sha256(content).hexdigest()
file = mwdb.upload_file(
    "naïve file.exe", content, tags=["One", "two"], attributes={"interop": [1, {"a": [None, 2.5]}], "other": "x"}, public=True
)
assert (file.id, file.sha256, file.file_name, file.name, file.size) == (sha256, sha256, "naive_file.exe", "naive_file.exe", len(content))
assert (file.md5, file.sha1, file.sha512) == tuple(getattr(hashlib, name)(content).hexdigest() for name in ("md5", "sha1", "sha512"))
assert len(file.crc32) == 8 and file.ssdeep and file.type and file.alt_names == []
assert file.tags == ["one", "two"]
assert file.attributes == {"interop": [1, {"a": [None, 2.5]}], "other": ["x"]}, file.attributes
assert file.download() == content == file.content
is_now(file.upload_time)
for name in (file.md5, file.sha1, file.sha256, file.sha512):
    assert mwdb.query_file(name).id == sha256
assert mwdb.query(sha256).object_type == "file"
assert mwdb.query(file.md5).id == sha256
assert mwdb.query_file("0" * 64, raise_not_found=False) is None
assert mwdb.query("0" * 64, raise_not_found=False) is None
refused(ObjectNotFoundError, mwdb.query_file, "0" * 64)
refused(ObjectNotFoundError, mwdb.query_config, sha256)
refused(ValidationError, mwdb.upload_file, "empty", b"")
refused(ObjectNotFoundError, mwdb.upload_file, "a", b"x", attributes={"undefined": 1})
mwdb.upload_file("second name", content)
file.flush()
assert mwdb.query_file(sha256).alt_names == ["second_name"]

# Configs with embedded blobs, blobs
blob = mwdb.upload_blob("text", "raw", "zażółć\x00\n", parent=file, private=True)
assert (blob.name, blob.type, blob.size, blob.content) == ("text", "raw", 8, "zażółć\x00\n".encode())
is_now(blob.last_seen)
cfg = {
    "url": ["http://a", "http://b"],
    "big": 2**80,
    "float": 1.0,
    "blob": {"in-blob": {"blob_name": "b", "blob_type": "raw", "content": "embedded"}},
}
config = mwdb.upload_config("family", cfg, parent=sha256, tags=["cfg"])
assert (config.family, config.type, config.tags) == ("family", "static", ["cfg"])
assert config.config_dict["big"] == 2**80 and isinstance(config.config_dict["float"], float)
assert config.cfg["blob"].content == b"embedded"
assert mwdb.query_config(config.id).id == config.id
assert mwdb.query_file(sha256).config.id == config.id
from mwdblib.util import config_dhash

plain = {"a": [1, 2.5, "ś", None, True, {"b": 1e22}], "c": -0.0}
assert mwdb.upload_config("family", plain).id == config_dhash(plain)
refused(TypeConflictError, mwdb.upload_blob, "b", "raw", "conflict") if mwdb.upload_file("c", b"conflict") else None

# Relations
child = mwdb.upload_file("child", b"child")
file.add_child(child)
file.add_child(child.id)
assert child.id in [other.id for other in file.children]
child.flush()
assert [other.id for other in child.parents] == [file.id]
assert {type(other).__name__ for other in file.children} == {"MWDBFile", "MWDBConfig", "MWDBBlob"}

# Tags, comments, attributes, metakeys, shares
file.add_tag("Three")
file.remove_tag("one")
assert file.tags == ["two", "three"], file.tags
file.add_comment("a comment")
assert [(comment.author, comment.comment) for comment in file.comments] == [(login, "a comment")]
is_now(file.comments[0].timestamp)
file.comments[0].delete()
file.flush()
assert file.comments == []
child.add_attribute("interop", {"k": 1})
assert child.attributes == {"interop": [{"k": 1}]}
child.remove_attribute(child.get_attributes_detailed()[0]["id"])
child.flush()
assert child.attributes == {}
child.add_metakey("interop", "text")
assert child.metakeys["interop"] == ["text"]
child.share_with("public")
shares = {share.group: share for share in child.shares}
assert {"public", login} <= set(shares), shares
assert shares["public"].reason.who == login and shares["public"].reason.what.id == file.id, "inherited: the first reason stays"
assert str(shares["public"].reason) == f"shared file:{file.id} by {login}", str(shares["public"].reason)
is_now(shares["public"].timestamp)
mwdb.api.put(f"object/{child.id}/favorite")
assert mwdb.api.get(f"object/{child.id}")["favorite"] is True
mwdb.api.delete(f"object/{child.id}/favorite")

# Karton
assert len(file.analyses) == 1 and file.analyses[0].is_running
again = file.reanalyze(arguments={"execute": "x"})
assert again.is_running and again.arguments == {"execute": "x"}
file.flush()
assert [analysis.id for analysis in file.analyses][0] == again.id and len(file.analyses) == 2
given = str(uuid.uuid4())
assert file.assign_analysis(given).status == "finished"
assert len(list(file.iter_analyses())) == 3
assert set(file.metakeys["karton"]) == {analysis.id for analysis in file.analyses}
artifact = mwdb.upload_file("artifact", b"artifact", karton_id=given, parent=file)
assert [analysis.id for analysis in artifact.analyses] == [given]

# Pages, counts
for number in range(25):
    mwdb.upload_file(f"page-{number}", f"page {number}".encode())
recent = []
for found in mwdb.recent_files():
    recent.append(found.id)
assert len(recent) == len(set(recent)) == mwdb.count_files(), (len(recent), mwdb.count_files())
assert next(mwdb.recent_files()).file_name == "page-24"
assert len(list(mwdb.recent_objects())) == mwdb.count()
assert len(list(mwdb.recent_blobs())) == mwdb.count_blobs() and len(list(mwdb.recent_configs())) == mwdb.count_configs()

# Searching
mwdb.upload_file("needle.exe", b"needle", tags=["needle"], attributes={"interop": {"deep": [1, "x"]}})
for query in ('name:"needle*"', "tag:needle", "attribute.interop.deep:x", 'tag:need* AND NOT name:"page-*"', "size:[6 TO 6] AND upload_time:>=1h AND tag:n*"):
    assert [found.name for found in mwdb.search_files(query)] == ["needle.exe"], query
    assert mwdb.count_files(query) == 1, query
pages = [found.name for found in mwdb.search_files('name:"page-*"')]
assert pages == [f"page-{number}" for number in reversed(range(25))], pages
assert mwdb.count_files('name:"page-*"') == 25 and mwdb.count('file.name:"page-*"') == 25
assert [found.id for found in mwdb.search_configs("cfg.big:1208925819614629174706176")] == [config.id]
assert [found.id for found in mwdb.search_blobs('content:"*embed*"')] == [config.cfg["blob"].id]
assert config.id in [found.id for found in mwdb.search(f"parent:(dhash:{sha256})")]
assert list(mwdb.search("tag:nothing")) == [] and mwdb.count("tag:nothing") == 0
refused(ValidationError, lambda: list(mwdb.search_files("needle")))
refused(ValidationError, mwdb.count, "tag:a tag:b")

# Removal
child.remove()
refused(ObjectNotFoundError, mwdb.query_file, child.id)
file.flush()
assert child.id not in [other.id for other in mwdb.query(sha256).children]
print("null")
