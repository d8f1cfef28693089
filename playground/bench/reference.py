"""The Python side of the bench: the same roles, made of karton-core.

usage: reference.py consume CONFIG
       reference.py produce CONFIG COUNT RESOURCE(true|false)
"""

import json
import resource
import sys
import time

from karton.core import Config, Consumer, Producer, Resource, Task

config = Config(sys.argv[2])


class Bench(Consumer):
    identity = "karton.bench0"
    filters = [{"type": "sample"}]

    def process(self, task: Task) -> None:
        pass


def sample(with_resource: bool) -> Task:
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    remote = {
        "__karton_resource__": {
            "uid": "1f2e3d4c-5b6a-4788-99aa-bbccddeeff00", "name": "sample.exe", "bucket": "karton", "size": 10240,
            "flags": [], "metadata": {"sha256": digest}, "sha256": digest,
        }
    }
    return Task(
        {
            "type": "sample", "stage": "recognized", "kind": "runnable", "platform": "win32", "extension": "exe",
            "mime": "application/x-dosexec", "quality": "high",
        },
        payload={
            "sample": Resource("sample.exe", bytes(i * 7 % 251 for i in range(10240))) if with_resource else remote,
            "tags": ["runnable:win32:exe", "feed:example"],
        },
    )


def produce(count: int, with_resource: bool) -> None:
    producer = Producer(config, identity="karton.bench-producer")
    cpu, started = time.process_time(), time.monotonic()
    for _ in range(count):
        producer.send_task(sample(with_resource))
    figures = {
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "produce":
        produce(int(sys.argv[3]), sys.argv[4] == "true")
    else:
        Bench(config).loop()
