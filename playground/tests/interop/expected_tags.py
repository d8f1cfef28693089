"""What the real karton-classifier says about files: prints {file name: [tags] or null} as JSON.

usage: expected_tags.py FOLDER
"""

import json
import logging
import sys
import unittest
from pathlib import Path

from karton.classifier import Classifier
from karton.core import Resource, Task
from karton.core.test import KartonTestCase


class Run(KartonTestCase):
    karton_class = Classifier

    def runTest(self) -> None:
        pass

    def tags(self, path: Path):
        task = Task({"type": "sample", "kind": "raw"}, payload={"sample": Resource(path.name, path.read_bytes())})
        (result,) = self.run_task(task)
        return result.get_payload("tags") if result.headers["stage"] == "recognized" else None


def main() -> None:
    logging.disable(logging.CRITICAL)
    case = Run()
    case.setUp()
    folder = Path(sys.argv[1])
    print(json.dumps({path.name: case.tags(path) for path in sorted(folder.iterdir())}))


if __name__ == "__main__":
    main()
