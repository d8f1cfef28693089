"""Lists and counts: their parameters, and the order of what they give."""

from ..world import sha
from . import scenario


@scenario
def listing(pair):
    for index in range(13):
        pair.upload(f"listed {index}", name=f"listed{index}.bin", by="carol", options={"tags": [{"tag": "listed"}]})
        pair.post("config", {"family": "listed", "cfg": {"listed": index}}, by="carol")
        pair.post("blob", {"blob_name": "listed", "blob_type": "raw", "content": f"listed blob {index}"}, by="carol")
    pair.upload("listed 3", name="again.bin", by="carol")
    pair.post("blob", {"blob_name": "other", "blob_type": "other", "content": "listed blob 3"}, by="carol")
    pivot = sha("listed 5")
    for kind in ("object", "file", "config", "blob"):
        for query in (
            "",
            "?query=",
            "?query=%20",
            "?count=",
            "?count=0",
            "?count=1",
            "?count=30",
            "?count=1000",
            "?count=99999999999999999999",
            "?count=-1",
            "?count=x",
            "?count=1.0",
            "?count=1e1",
            "?count=%201%20",
            "?count=1_0",
            "?page=",
            "?page=0",
            "?page=1",
            "?page=2",
            "?page=3",
            "?page=-1",
            "?page=x",
            "?page=99999999999999999999",
            "?page=1&count=3",
            "?page=2&count=3",
            "?page=2&count=20",
            "?older_than=",
            f"?older_than={pivot}",
            f"?older_than={pivot}&count=2",
            f"?older_than={pivot}&page=1",
            f"?older_than={pivot}&page=",
            f"?older_than={pivot.upper()}",
            "?older_than=x",
            "?older_than=root",
            f"?older_than={'0' * 64}",
            f"?older_than={sha('listed blob 5')}",
            f"?older_than={sha('listed blob 3')}",
            "?older_than=&page=1",
            f"?older_than=&older_than={pivot}",
            "?count=1&count=2",
            "?query=tag:listed&query=tag:x",
            "?query=tag:listed",
            f"?query=tag:listed&older_than={pivot}",
            "?query=tag%3Alisted&count=3&page=2",
            "?query=%00",
            "?query=%FF",
            "?query=tag:%00",
            "?unknown=1",
            "?Query=tag:x",
            "?query[]=x",
            "?query",
            "?count",
            "?&&",
            "?query=tag:a+AND+tag:b",
            "?query=tag:listed#x",
        ):
            for user in ("carol", "dave"):
                pair.get(f"{kind}{query}", by=user)
            if "count" not in query:
                pair.get(f"{kind}/count{query}", by="carol")
    for dhash in (pivot, sha("listed blob 3")):
        for word in ("md5", "sha1", "sha512"):
            pair.keep("digest", pair.get(f"file/{dhash}", by="carol"), word)
            for kind in ("object", "file", "config", "blob"):
                pair.get(f"{kind}?older_than=<<digest>>&count=3", by="carol")
                pair.get(f"{kind}/<<digest>>", by="carol")
    for word in (
        "all",
        "*",
        "%2A",
        "0h",
        "1h",
        "1d",
        "24h",
        "0d",
        "-1d",
        "d",
        "h",
        "1",
        "",
        "1w",
        "1m",
        "ah",
        "1H",
        "%201d",
        "1%20d",
        "1.5h",
        "99999h",
        "99999999999d",
        "9999999999999999999999h",
        "1d1h",
        "01d",
        "+1d",
        "1_0d",
        "1d%0A",
    ):
        pair.get(f"config/stats?range={word}", by="dave")
    pair.get("config/stats", by="dave")
    pair.get("config/stats?range=*&range=1d", by="dave")
    for body in (
        {"query": "tag:listed"},
        {"query": ""},
        {"query": " "},
        {"query": None},
        {},
        {"query": 1},
        {"query": "tag:x AND"},
        {"query": "tag:listed", "x": 1},
        {"query": "file.name:again*"},
    ):
        pair.post("search", body, by="carol")
    for sized in ("?size=3", "?limit=3"):
        pair.get(f"file{sized}", by="carol")
