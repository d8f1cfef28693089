"""A process of karton-core for the chaos tests: what it sends and does is noted in files of its folder.

usage: chaos.py CONFIG consume IDENTITY MILLISECONDS
       chaos.py CONFIG produce FROM MILLISECONDS
"""

import itertools
import os
import sys
import time

from karton.core import Config, Consumer, Producer, Resource, Task

config = Config(sys.argv[1])
role, argument, milliseconds = sys.argv[2], sys.argv[3], int(sys.argv[4])


def note(book: str, line: str) -> None:
    file = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{line}\n".encode())
    os.close(file)


class Chaos(Consumer):
    identity = argument
    filters = [{"type": "chaos"}]
    version = "1.0.0"

    def process(self, task: Task) -> None:
        number = task.get_payload("number")
        if task.has_payload("file"):
            assert task.get_resource("file").content == f"content {number}".encode()
        time.sleep(number * 7 % (milliseconds + 1) / 1000)
        note("processed", f"{self.identity} {number}")


# The bind carries the documentation of the class, and the Rust replica has none.
Chaos.__doc__ = None


def produce(start: int) -> None:
    producer = Producer(config, identity="karton.chaos-producer")
    for number in itertools.count(start):
        while os.path.exists("hold"):
            time.sleep(0.02)
        payload = {"number": number}
        if number % 8 == 0:
            payload["file"] = Resource("file.txt", f"content {number}".encode())
        try:
            producer.send_task(Task({"type": "chaos"}, payload=payload))
        except Exception:
            # Not acknowledged, whether or not it is processed.
            time.sleep(0.1)
            continue
        note("acknowledged", str(number))
        time.sleep(milliseconds / 1000)


if __name__ == "__main__":
    if role == "produce":
        produce(int(argument))
    else:
        Chaos(config).loop()
