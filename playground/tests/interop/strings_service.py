"""The strings example of karton-playground, rewritten on karton-core: printable runs of a sample, as its child."""

import re

from karton.core import Karton, Resource, Task


class Strings(Karton):
    """Extracts printable strings from recognized samples"""

    identity = "karton.py-strings"
    version = "1.0.0"
    filters = [{"type": "sample", "stage": "recognized"}]

    def process(self, task: Task) -> None:
        sample = task.get_resource("sample")
        found = re.findall(rb"[ -~]{4,}", sample.content)
        text = b"\n".join([b"strings of " + sample.sha256.encode() if sample.sha256 else b"strings", *found])
        self.send_task(
            Task(
                {"type": "sample", "stage": "analyzed"},
                payload={"parent": sample, "sample": Resource("strings.txt", text), "tags": ["py-strings"]},
            )
        )


if __name__ == "__main__":
    Strings.main()
