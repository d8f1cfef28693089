"""One Karton service of the real karton-core, by name.

usage: peer.py CONFIG ROLE [ARGUMENT...]

produce COUNT       sends COUNT tasks {type: to-rust} with a resource each
consume             consumer of {type: to-python}: prints a JSON line for each task
async-consume       the same as an asyncio service
replica FILTERS     a consumer that equals, by its bind, the Rust one under test
logs                prints each log record as a JSON line
system              the broker
"""

import asyncio
import json
import sys

from karton.core import Config, Consumer, Karton, Producer, Resource, Task
from karton.core.asyncio import Consumer as AsyncConsumer
from karton.core.logger import LogConsumer if False else KartonLogHandler  # noqa
