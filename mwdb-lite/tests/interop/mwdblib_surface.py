"""Uses the public surface of mwdblib against a server, and fails at the first surprise.

Arguments: API URL, login, password. The server must have Karton enabled.
"""

import datetime
import hashlib
import io
import itertools
import json
import pathlib
import sys
import uuid
import warnings

from mwdblib import (
    MWDB,
    APIClient,
    APIClientOptions,
    MWDBBlob,
    MWDBComment,
    MWDBConfig,
    MWDBFile,
    MWDBObject,
)
from mwdblib.exc import (
    BadResponseError,
    EndpointNotFoundError,
    InvalidCredentialsError,
    NotAuthenticatedError,
    ObjectNotFoundError,
    TypeConflictError,
    ValidationError,
)
from mwdblib.karton import MWDBKartonAnalysis
from mwdblib.share import MWDBShare
from refusals import refused

# The library calls its own older methods deprecated.
warnings.simplefilter("ignore", DeprecationWarning)

url, login, password = sys.argv[1:]


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
assert mwdb.options.api_url == url and repr(mwdb) == f"MWDB(api_url='{url}', username='{login}')"
refused(EndpointNotFoundError, mwdb.api.get, "no/such/route")
metadata = mwdb.api.server_metadata
assert metadata["is_authenticated"] is True and metadata["is_karton_enabled"] is True
assert mwdb.api.supports_version("2.17.0") and not mwdb.api.supports_version("2.20.0")

# Every way to give credentials
by_client = MWDB(api=APIClient(api_url=url, username=login, password=password, config_path=None))
assert by_client.api.get("auth/validate")["login"] == login
later = MWDB(api_url=url, username=login, password=password, autologin=False, config_path=None)
refused(NotAuthenticatedError, later.count)
later.login(login, password)
assert later.count() == 0
later.api.set_api_key(key["token"])
assert later.api.logged_user == login and later.api.get("server")["is_authenticated"] is True
later.logout()
assert later.api.logged_user is None
refused(NotAuthenticatedError, later.count)
assert later.api.get("server", noauth=True)["is_authenticated"] is False
stored = pathlib.Path("stored.ini")
options = APIClientOptions(config_path=stored, api_url=url, use_keyring=False)
assert options.store_credentials(login, None, key["token"])
by_file = MWDB(config_path=stored)
assert by_file.options.api_url == url and by_file.api.get("auth/validate")["login"] == login
assert by_file.options.clear_stored_credentials()
refused(NotAuthenticatedError, MWDB(config_path=stored).count)
# A key that was revoked is nobody's; a session that ended is opened again without a word.
short = mwdb.api.post(f"user/{login}/api_key", json={"name": "short"})
revoked = MWDB(api_url=url, api_key=short["token"], config_path=None)
assert revoked.count() == 0
mwdb.api.delete(f"api_key/{short['id']}")
refused(NotAuthenticatedError, revoked.count)
session = MWDB(api_url=url, username=login, password=password, config_path=None)
first = session.api.auth_token.value
session.api.set_auth_token(first[:-4] + "AAAA")
assert session.count() == 0 and session.api.auth_token.value[-4:] != "AAAA"
# An address without `/api/` is told apart from a server that fails.
pages = MWDB(api_url=url[: -len("api/")], api_key=key["token"], config_path=None, emit_warnings=False)
refused(BadResponseError, pages.api.get, "login")

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

# Every option of uploads, on every type
mwdb.api.post("group/team", json={})
mwdb.api.post(f"group/team/member/{login}")
uploads = {
    "file": lambda number, **options: mwdb.upload_file(f"option {number}", io.BytesIO(f"option {number}".encode()), **options),
    "config": lambda number, **options: mwdb.upload_config("options", {"number": number}, "dynamic", **options),
    "blob": lambda number, **options: mwdb.upload_blob(f"option {number}", "raw", f"blob {number}", **options),
}
for word, upload in uploads.items():
    groups = lambda number, **options: {share.group for share in upload(number, **options).shares}
    assert groups(1) == groups(2, share_with="*") == {login, "team"}, word
    assert groups(3, private=True) == groups(4, share_with=login) == groups(5, share_with="private") == {login}, word
    assert groups(6, public=True) == {login, "public"} and groups(7, share_with="team") == {login, "team"}, word
    refused(ValidationError, upload, 8, public=True, private=True)
    refused(ObjectNotFoundError, upload, 8, share_with="no-such-group")
    refused(ObjectNotFoundError, upload, 8, parent="0" * 64)
    given = str(uuid.uuid4())
    marked = upload(9, metakeys={"interop": ["one", "two"], "karton": given}, tags=["B", "a", "b"], parent=file)
    assert marked.metakeys == {"interop": ["one", "two"], "karton": [given]}, marked.metakeys
    assert sorted(marked.tags) == ["a", "b"] and [parent.id for parent in marked.parents] == [sha256]
    assert [analysis.id for analysis in marked.analyses] == [given]
    started = upload(10, karton_arguments={"execute": "arg"}, attributes={"interop": [0, False, {"k": ["v"]}]})
    assert started.attributes == {"interop": [0, False, {"k": ["v"]}]}, started.attributes
    assert [analysis.arguments for analysis in started.analyses] == [{"execute": "arg"}]
    refused(ValidationError, upload, 11, karton_id="no-uuid")
    refused(ValueError, upload, 11, metakeys={"interop": "a"}, attributes={"interop": "a"})
    # Known already: merged, and once more with what is new.
    again = upload(1, tags=["later"], attributes={"other": 1}, share_with="public", parent=sha256)
    assert again.tags == ["later"] and again.attributes == {"other": [1]}
    assert {share.group for share in again.shares} == {login, "team", "public"}
    assert again.upload_time == upload(1).upload_time
    # What is remembered is what the server says.
    again.flush()
    assert again.data == {"id": again.id, "type": again.object_type}
    assert again.tags == ["later"] and [parent.id for parent in again.parents] == [sha256] and again.children == []
    assert again.object_type == {"file": "file", "config": "static_config", "blob": "text_blob"}[word]
    assert repr(again).startswith(type(again).__name__), repr(again)
    assert mwdb.query(again.id).sha256 == again.id and type(mwdb.query(again.id)) is type(again)
    again.remove()
    refused(ObjectNotFoundError, mwdb.query, again.id)
    refused(ObjectNotFoundError, again.remove)
for hash in ("0" * 32, "0" * 40, "0" * 64, "0" * 128):
    for query in (mwdb.query, mwdb.query_file):
        refused(ObjectNotFoundError, query, hash)
        assert query(hash, raise_not_found=False) is None
for query, other in ((mwdb.query_config, blob), (mwdb.query_blob, config), (mwdb.query_file, blob)):
    refused(ObjectNotFoundError, query, other.id)
    assert query(other.id, raise_not_found=False) is None
for malformed in ("", "x" * 64, "0" * 31, "../server"):
    assert malformed == "" or malformed == "../server" or refused(EndpointNotFoundError, mwdb.query_blob, malformed) is None
assert file.download_legacy() == content
listed = next(mwdb.search_files(f"sha256:{sha256}"))
assert listed.content == content and listed.sha512 == file.sha512 and listed.crc32 == file.crc32
assert json.loads(config.content) == config.config_dict and mwdb.query_blob(blob.id).config is None
embedded = config.config["blob"]
assert embedded.config is None and [parent.id for parent in embedded.parents] == [config.id]
assert embedded.size == 8 and embedded.type == "raw", embedded.data

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
file.add_comment("another")
assert type(file.comments[0]) is MWDBComment and type(file.comments[0].id) is int
file.remove_comment(file.comments[0].id)
assert file.comments == []
file.remove_tag("no such tag")
child.add_attribute("interop", {"k": 1})
assert child.attributes == {"interop": [{"k": 1}]}
child.remove_attribute(child.get_attributes_detailed()[0]["id"])
child.flush()
assert child.attributes == {}
child.add_metakey("interop", "text")
assert child.metakeys["interop"] == ["text"]
refused(ObjectNotFoundError, child.add_attribute, "undefined", "x")
for empty in ("", None, [], {}):
    refused(ValidationError, child.add_attribute, "interop", empty)
refused(ValueError, child.add_attribute, "karton", str(uuid.uuid4()))
refused(ObjectNotFoundError, child.share_with, "no-such-group")
child.share_with("public")
child.share_with("public")
shares = {share.group: share for share in child.shares}
assert {"public", login} <= set(shares), shares
assert shares["public"].reason.who == login and shares["public"].reason.what.id == file.id, "inherited: the first reason stays"
assert str(shares["public"].reason) == f"shared file:{file.id} by {login}", str(shares["public"].reason)
is_now(shares["public"].timestamp)
assert type(shares["public"]) is MWDBShare and shares["public"].reason.why == "shared" and shares[login].reason.why == "added"
assert shares["public"].reason.what.file_name == file.file_name
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
assert all(type(analysis) is MWDBKartonAnalysis for analysis in file.iter_analyses())
is_now(again.last_update)
assert again.processing_in == {} and again.status == "running"
later = [analysis.id for analysis in file.iter_analyses(older_than=again.id)]
assert again.id not in later and later, later
for number in range(12):
    file.assign_analysis(str(uuid.UUID(int=number)))
assert len(file.analyses) == 10 and len({analysis.id for analysis in file.iter_analyses()}) == 15
refused(ValidationError, file.assign_analysis, "no-uuid")
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

# Pages of any size, and from any object on
everything = [found.id for found in mwdb.recent_objects(chunk_size=1000)]
assert len(everything) == mwdb.count() > 10
for size in (1, 7):
    assert [found.id for found in mwdb.recent_objects(chunk_size=size)] == everything
assert [found.id for found in mwdb.recent_objects(older_than=everything[4])] == everything[5:]
for recent, kind in ((mwdb.recent_files, MWDBFile), (mwdb.recent_configs, MWDBConfig), (mwdb.recent_blobs, MWDBBlob)):
    known = list(recent(chunk_size=3))
    assert known and {type(found) for found in known} == {kind}, known
    # The object to start from may be of any type.
    assert [found.id for found in recent(older_than=known[0].id)] == [found.id for found in known[1:]]
    refused(ObjectNotFoundError, lambda: list(recent(older_than="0" * 64)))
assert [found.id for found in mwdb.search("tag:b", chunk_size=1)] == [found.id for found in mwdb.search("tag:b")]
first, *others = mwdb.search("tag:b")
assert [found.id for found in mwdb.search("tag:b", older_than=first.id)] == [found.id for found in others]
for search, kind in ((mwdb.search_files, "file"), (mwdb.search_configs, "static_config"), (mwdb.search_blobs, "text_blob")):
    assert [found.object_type for found in search("tag:b", chunk_size=2)] == [kind]
    assert list(search("tag:b", older_than=next(search("tag:b")).id)) == []

# Listening: what is new since an object, oldest first
listeners = (
    (mwdb.listen_for_objects, lambda number: mwdb.upload_blob("listen", "raw", f"listened {number}", tags=["listened"])),
    (mwdb.listen_for_files, lambda number: mwdb.upload_file("listen", f"listened file {number}".encode(), tags=["listened"])),
    (mwdb.listen_for_configs, lambda number: mwdb.upload_config("listen", {"listened": number}, tags=["listened"])),
    (mwdb.listen_for_blobs, lambda number: mwdb.upload_blob("listen", "raw", f"listened blob {number}", tags=["listened"])),
)
for listen, upload in listeners:
    pivot = upload(0)
    assert list(listen(blocking=False)) == []
    new = [upload(number).id for number in range(1, 14)]
    for start in (pivot, pivot.id):
        assert [found.id for found in listen(start, blocking=False)] == new
        assert [found.id for found in listen(start, blocking=False, query="tag:listened")] == new
    assert list(listen(new[-1], blocking=False)) == []
    assert [found.id for found in itertools.islice(listen(pivot, interval=1), 13)] == new
    refused(ObjectNotFoundError, lambda: list(listen("0" * 64, blocking=False)))
refused(TypeError, lambda: list(mwdb.listen_for_configs(pivot, blocking=False)))
refused(ObjectNotFoundError, lambda: list(mwdb.listen_for_configs(pivot.id, blocking=False)))
assert isinstance(pivot, MWDBObject)

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
for count, kind in ((mwdb.count_files, "file"), (mwdb.count_configs, "config"), (mwdb.count_blobs, "blob")):
    assert count("tag:b") == 1 and count() == mwdb.api.get(f"{kind}/count")["count"] > 1
    refused(ValidationError, count, "tag:")

# Removal
child.remove()
refused(ObjectNotFoundError, mwdb.query_file, child.id)
file.flush()
assert child.id not in [other.id for other in mwdb.query(sha256).children]
print("null")
