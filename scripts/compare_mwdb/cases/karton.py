"""Analyses: with Karton on, also the tasks; without it, what is left of them."""

import json
import time
from urllib.parse import quote

from ..wire import redis
from ..world import sha
from . import scenario

FIRST = "7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c31"
SECOND = "7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c32"


def tasks(side):
    """The tasks in the Redis of one server, by analysis, without what each server makes up."""
    found = {}
    keys = redis(side.redis, "KEYS", "karton.task:*")
    for text in redis(side.redis, "MGET", *keys) if keys else ():
        task = json.loads(text)
        for name in ("uid", "last_update"):
            task.pop(name, None)
        for payload in task["payload"].values():
            if isinstance(payload, dict) and "__karton_resource__" in payload:
                payload["__karton_resource__"].pop("uid")
        found[task.pop("root_uid")] = task
    return found


def compare_tasks(pair):
    """Ours announces a moment after the answer."""
    deadline = time.monotonic() + 10
    reference, ours = (tasks(side) for side in pair.sides)
    while len(ours) < len(reference) and time.monotonic() < deadline:
        time.sleep(0.1)
        ours = tasks(pair.sides[1])
    for root, task in reference.items():
        other = ours.pop(pair.differ.pairs.get(("uuid", "reference", root)), "no task")
        pair.note("task", "GET", f"task of {root}", pair.differ.values("task", task, other))
    for root, task in ours.items():
        pair.note("task", "GET", f"task of {root}", [("task", "no task", str(task)[:300])])


@scenario
def karton(pair):
    pair.upload("to be analysed", by="alice")
    pair.upload("also to be analysed", by="alice", options={"karton_id": FIRST})
    pair.keep("analysed config", pair.post("config", {"family": "f", "cfg": {"analysed": 1}}, by="alice"), "id")
    pair.get("config/<<analysed config>>/karton", by="alice")
    pair.post("blob", {"blob_name": "n", "blob_type": "t", "content": "blob to be analysed"}, by="alice")
    first, second, blob = (f"object/{sha(name)}/karton" for name in ("to be analysed", "also to be analysed", "blob to be analysed"))
    for user in ("alice", "bob", "carol", "dave"):
        for path in (first, second, blob):
            pair.get(path, by=user)
        for name in (
            FIRST,
            SECOND,
            FIRST.upper(),
            FIRST.replace("-", ""),
            "x",
            "0" * 32,
            "{" + FIRST + "}",
            "urn:uuid:" + FIRST,
            FIRST[:-1],
        ):
            for method in ("GET", "PUT", "GET", "DELETE", "DELETE", "PUT"):
                pair.ask(method, f"{first}/{name}", by=user)
            pair.get(f"{second}/{name}", by=user)
            pair.get(f"{first}?older_than={name}", by=user)
    for query in ("?older_than=", "?older_than=x&older_than=y", "?page=1", "?count=1"):
        pair.get(f"{first}{query}", by="alice")
    for kind in ("file", "config", "blob"):
        pair.get(f"{kind}/{sha('to be analysed')}/karton", by="alice")
    if pair.karton:
        bodies = (
            None,
            b"",
            {},
            {"arguments": {}},
            {"arguments": {"execute": "x"}},
            {"arguments": {"execute": 1}},
            {"arguments": {"execute": None}},
            {"arguments": None},
            {"arguments": []},
            {"arguments": {"other": "x"}},
            {"arguments": "x"},
            {"x": 1},
            b"{",
            [],
            None,
            b"null",
            {"arguments": {"": "x"}},
            {"arguments": {"execute": ""}},
        )
        for body in bodies:
            pair.post(first, body, by="alice", label=str(body))
        for user in ("bob", "carol", "dave"):
            pair.post(first, by=user)
        pair.keep("newest", pair.post(first, {}, by="alice"), "id")
        pair.get(first, by="alice")
        pair.get(f"{first}?older_than=<<newest>>", by="alice")
        pair.get(f"{first}/<<newest>>", by="alice")
        pair.get(f"{second}/<<newest>>", by="alice")
        pair.put(f"{second}/<<newest>>", by="alice")
        pair.get(second, by="alice")
        pair.delete(f"{first}/<<newest>>", by="alice")
        pair.get("object?query=karton:<<newest>>", by="alice")
        for _ in range(12):
            pair.post(blob, by="alice")
        pair.get(blob, by="alice")
        pair.keep("oldest", pair.get(blob, by="alice"), lambda body: body["analyses"][-1]["id"])
        pair.get(f"{blob}?older_than=<<oldest>>", by="alice")
    for name in ("to be analysed", "also to be analysed", "blob to be analysed"):
        pair.get(f"object/{sha(name)}/meta", by="alice")
        pair.get(f"object/{sha(name)}/attribute", by="alice")
    pair.post(f"object/{sha('to be analysed')}/meta", {"key": "karton", "value": SECOND}, by="alice")
    pair.post(f"object/{sha('to be analysed')}/meta", {"key": "KARTON ", "value": SECOND}, by="alice")
    pair.post(f"object/{sha('to be analysed')}/meta", {"key": "karton", "value": SECOND.upper()}, by="bob")
    pair.get(first, by="alice")
    for query in ("*", r"\*", '"*"', FIRST, FIRST.upper(), f"{{{FIRST}}}", f'"{{{FIRST}}}"', "zz"):
        pair.get(f"object?query=karton:{quote(query)}", by="alice", label=query)
        pair.get(f"object?query=NOT%20karton:{quote(query)}&count=40", by="alice", label=query)
    pair.post("attribute", {"key": "karton", "label": "", "description": "", "hidden": False})
    pair.put("attribute/karton/permissions", {"group_name": "public", "can_read": True, "can_set": True})
    for user in ("alice", "bob"):
        pair.post(f"object/{sha('to be analysed')}/attribute", {"key": "karton", "value": FIRST}, by=user)
        pair.post(f"object/{sha('to be analysed')}/attribute", {"key": "karton", "value": "x"}, by=user)
    pair.upload("with attribute karton alice", by="alice", options={"attributes": [{"key": "karton", "value": FIRST}]})
    pair.upload("with attribute karton x", by="alice", options={"attributes": [{"key": "karton", "value": "x"}]})
    for part in ("karton", "meta"):
        pair.get(f"object/{sha('with attribute karton alice')}/{part}", by="alice")
    pair.get(f"object/{sha('to be analysed')}/meta", by="alice")
    pair.delete(f"object/{sha('to be analysed')}/meta?key=karton", by="alice")
    pair.delete("attribute/karton")
    for method in ("PUT", "DELETE"):
        pair.ask(method, f"{first}/{FIRST}", by="alice")
    pair.delete(f"file/{sha('to be analysed')}", by="alice")
    pair.upload("to be analysed", by="alice")
    pair.get(first, by="alice")
    if pair.karton:
        quality = {
            "tags": [{"tag": "b"}, {"tag": "a"}],
            "attributes": [{"key": "open", "value": [1, "x", {"a": None}]}, {"key": "hidden", "value": "x"}],
        }
        pair.upload(
            "with all that a task holds",
            name="ą b.exe",
            by="alice",
            options=quality | {"share_3rd_party": False, "karton_arguments": {"execute": "x"}},
        )
        pair.put("user/bob", {"feed_quality": "low"})
        pair.upload("of low quality", by="bob")
        pair.post("blob", {"blob_name": "n", "blob_type": "dump", "content": "ą\u0000 of a task"}, by="alice")
        cfg = {
            "big": 10**30,
            "float": 1.5,
            "text": "ą\u0000",
            "raw": {"in-blob": {"blob_name": "n", "blob_type": "t", "content": "in a task"}},
        }
        pair.post("config", {"family": "f", "config_type": "dynamic", "cfg": cfg}, by="alice")
        for name in ("with all that a task holds", "of low quality", "\u0105\u0000 of a task"):
            pair.get(f"object/{sha(name)}/karton", by="alice" if "low" not in name else "bob")
        pair.get("config", by="alice")
        pair.keep("config of a task", pair.get("config?count=1", by="alice"), lambda body: body["configs"][0]["id"])
        pair.get("object/<<config of a task>>/karton", by="alice")
        compare_tasks(pair)
