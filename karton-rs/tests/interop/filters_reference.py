"""Answers filter questions with karton-core.

Reads JSON lines {"filters": ..., "headers": ...} on standard input and writes one line for each:
true, false, "query" (an error the broker skips) or "other" (an error that ends it).
"""

import json
import sys
import warnings

from karton.core import Task
from karton.core.query import QueryError

warnings.simplefilter("ignore")


def answer(case):
    try:
        return bool(Task(headers=case["headers"]).matches_filters(case["filters"]))
    except QueryError:
        return "query"
    except Exception:
        return "other"


for line in sys.stdin:
    sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
