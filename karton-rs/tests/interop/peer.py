"""One service of the real karton-core, by name.

usage: peer.py CONFIG ROLE [ARGUMENT...]

produce COUNT    sends COUNT tasks {type: to-rust}, each with a resource
consume          a consumer of {type: to-python}; prints a JSON line for each task
async-consume    the same as an asyncio service
replica          a consumer whose bind equals that of the Rust one under test
stuck            a consumer of {type: to-stuck} that never ends
stuck-elsewhere  the same under another name
logs             prints each log record as a JSON line
produce-odd      sends one task {type: odd} with names that are no Unicode
consume-odd      a consumer of what became of it, by such a name; prints its record
"""

import asyncio
import json
import sys
import time

from karton.core import Config, Consumer, LogConsumer, Producer, Resource, Task
from karton.core.asyncio import Consumer as AsyncConsumer

config = Config(sys.argv[1])


def describe(task: Task, content: bytes) -> None:
    line = {
        "number": task.get_payload("number"),
        "headers": task.headers,
        "uploader": task.get_payload("uploader"),
        "content": content.decode(),
    }
    print(json.dumps(line), flush=True)


class Sync(Consumer):
    identity = "karton.py-sync"
    filters = [{"type": "to-python"}]

    def process(self, task: Task) -> None:
        describe(task, task.get_resource("file").content)


class Async(AsyncConsumer):
    identity = "karton.py-async"
    filters = [{"type": "to-python"}]

    async def process(self, task: Task) -> None:
        resource = task.get_resource("file")
        await resource.download()
        describe(task, resource.content)


class Replica(Consumer):
    identity = "karton.replica"
    filters = [{"type": "shared", "kind": "!other"}]
    version = "1.2.3"

    def process(self, task: Task) -> None:
        print(json.dumps({"number": task.get_payload("number")}), flush=True)


# The bind carries the documentation of the class, and the Rust replica has none.
Replica.__doc__ = None


class Stuck(Consumer):
    identity = "karton.stuck"
    filters = [{"type": "to-stuck"}]

    def process(self, task: Task) -> None:
        print(json.dumps({"uid": task.uid}), flush=True)
        time.sleep(3600)


class StuckElsewhere(Stuck):
    identity = "karton.stuck-elsewhere"
    filters = [{"type": "to-stuck-elsewhere"}]


class Odd(Consumer):
    identity = "karton.py-odd"
    filters = [{"type": "odd-back", "h\udce9": "?\udce9", "other": "!x\udce9"}]

    def process(self, task: Task) -> None:
        print(task.serialize(), flush=True)


class Logs(LogConsumer):
    identity = "karton.py-logs"

    def process_log(self, event) -> None:
        print(json.dumps(event), flush=True)


def produce(count: int) -> None:
    producer = Producer(config, identity="karton.py-producer")
    for number in range(count):
        task = Task(
            {"type": "to-rust", "number": number},
            payload={"file": Resource("file.txt", f"content {number}".encode()), "big": 10**40},
            headers_persistent={"quality": "high"},
            payload_persistent={"uploader": "me"},
        )
        producer.send_task(task)


def produce_odd() -> None:
    task = Task(
        {"type": "odd"},
        payload={"files": {"caf\udce9.txt": Resource("caf\udce9.txt", b"odd", uid="odd-file", bucket="karton"), "\ud800\ue000": 10**30, "plain": None}},
        headers_persistent={"h\udce9": "x\udce9"},
        payload_persistent={"\udfff": "lasting"},
    )
    Producer(config, identity="karton.py-producer").send_task(task)


if __name__ == "__main__":
    roles = {"consume": Sync, "async-consume": Async, "replica": Replica, "stuck": Stuck, "stuck-elsewhere": StuckElsewhere, "logs": Logs, "consume-odd": Odd}
    if sys.argv[2] == "produce":
        produce(int(sys.argv[3]))
    elif sys.argv[2] == "produce-odd":
        produce_odd()
    elif sys.argv[2] == "async-consume":
        asyncio.run(roles[sys.argv[2]](config).loop())
    else:
        roles[sys.argv[2]](config).loop()
