"""Uploads files with the real mwdblib and waits until their analyses are finished.

usage: upload_and_wait.py API_URL LOGIN PASSWORD SECONDS FILE...
Prints one JSON object: file name -> {id, type, status, seconds, tags, analyses}.
"""

import json
import sys
import time
from pathlib import Path

from mwdblib import MWDB


def main() -> None:
    api_url, login, password, limit, *files = sys.argv[1:]
    mwdb = MWDB(api_url=api_url)
    mwdb.login(login, password)
    uploaded = {}
    for name in files:
        path = Path(name)
        uploaded[path.name] = (mwdb.upload_file(path.name, path.read_bytes(), public=True), time.monotonic())
    result = {}
    for name, (sample, started) in uploaded.items():
        while True:
            # A fresh view each time: the library caches what it has loaded.
            sample = mwdb.query_file(sample.sha256)
            analyses = sample.analyses
            done = bool(analyses) and all(analysis.status == "finished" for analysis in analyses)
            if done or time.monotonic() - started > float(limit):
                break
            time.sleep(0.1)
        # The view above was loaded before its analyses were asked for: its tags may be older.
        sample = mwdb.query_file(sample.sha256)
        result[name] = {
            "id": sample.id,
            "type": sample.object_type,
            "status": analyses[0].status if analyses else None,
            "seconds": round(time.monotonic() - started, 2),
            "tags": sorted(sample.tags),
            "analyses": [analysis.id for analysis in analyses],
            "children": [child.id for child in sample.children],
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
