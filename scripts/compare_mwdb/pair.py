"""Sends each request to both servers and keeps the differences between the answers.

`<<name>>` in a path, a header or a body stands for what `keep` has kept under this name, for each server its own.
"""

import re
import time
from collections import Counter

from . import servers, wire
from .differ import Differ

VARIABLE = re.compile("<<([^<>]+)>>")


class Difference:
    def __init__(self, scenario, label, method, path, place, reference, ours):
        self.scenario, self.label, self.method, self.path, self.place = scenario, label, method, path, place
        self.reference, self.ours = reference, ours

    def __str__(self):
        head = f"{self.scenario}: {self.method} {self.path[:200]}" + (f" [{self.label}]" if self.label else "")
        return f"{head}\n    {self.place}\n      reference {self.reference}\n      ours      {self.ours}"


class Answers(tuple):
    """The answers of the reference and of ours."""

    __slots__ = ()

    @property
    def ok(self):
        return all(reply.status == 200 for reply in self)


class Pair:
    def __init__(self, reference, ours, texts=None):
        self.sides = (reference, ours)
        self.variables = ({}, {})
        self.differ = Differ()
        self.differences = []
        self.requests = 0
        self.statuses = Counter()
        self.scenario = ""
        self.texts = texts
        self.spent = [0.0, 0.0]

    def fill(self, value, index):
        if isinstance(value, str):
            kept = self.variables[index]
            whole = VARIABLE.fullmatch(value)
            if whole:
                return kept.get(whole[1], value)
            return VARIABLE.sub(lambda found: str(kept.get(found[1], found[0])), value)
        if isinstance(value, bytes):
            return VARIABLE.sub(lambda found: str(self.variables[index].get(found[1], found[0])), value.decode("latin-1")).encode("latin-1")
        if isinstance(value, dict):
            return {self.fill(key, index): self.fill(item, index) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(item, index) for item in value]
        if isinstance(value, wire.Multipart):
            return wire.Multipart(*(tuple(self.fill(part, index) for part in parts) for parts in value.parts))
        return value

    def ask(self, method, path, body=None, by=None, headers=None, label="", compare=True):
        """`by` names whose token goes along; a body that is neither bytes nor a form is sent as JSON."""
        replies = []
        for index, side in enumerate(self.sides):
            sent = dict(self.fill(headers or {}, index))
            token = self.variables[index].get(f"token of {by}") if by else None
            if token:
                sent.setdefault("Authorization", f"Bearer {token}")
            # What could not be kept names nothing.
            address = VARIABLE.sub("missing", self.fill(path, index))
            address = address if address.startswith("/") else f"/api/{address}"
            started = time.monotonic()
            reply = wire.send(side.port, method, address, self.fill(body, index), sent)
            self.spent[index] += time.monotonic() - started
            replies.append(reply)
        self.requests += 1
        self.statuses[replies[0].status] += 1
        if compare:
            told = f"{by or 'nobody'}{': ' + label if label else ''}"
            self.note(told, method, path, self.differ.replies(*replies))
            if self.texts and replies[0].status >= 400 and replies[0].body != replies[1].body:
                self.texts.write(
                    f"{method} {path} [{told}] {body!r:.200}\n  {replies[0].body.decode(errors='replace').strip()[:300]}\n"
                    f"  {replies[1].body.decode(errors='replace').strip()[:300]}\n"
                )
        return Answers(replies)

    def note(self, label, method, path, found):
        """Keeps differences that were found elsewhere than in answers."""
        for place, reference, ours in found:
            self.differences.append(Difference(self.scenario, label, method, path, place, reference, ours))

    def get(self, path, by="admin", **more):
        return self.ask("GET", path, by=by, **more)

    def post(self, path, body=None, by="admin", **more):
        return self.ask("POST", path, body, by, **more)

    def put(self, path, body=None, by="admin", **more):
        return self.ask("PUT", path, body, by, **more)

    def delete(self, path, by="admin", **more):
        return self.ask("DELETE", path, by=by, **more)

    def keep(self, name, answers, key):
        """Keeps the value under the key, or of the function, of both answers; nothing, if one of them has none."""
        found = []
        for reply in answers:
            try:
                found.append(key(reply.json) if callable(key) else reply.json[key])
            except (ValueError, LookupError, TypeError):
                continue
        for kept, value in zip(self.variables, found if len(found) == 2 else (None, None), strict=True):
            kept.pop(name, None)
            if value is not None:
                kept[name] = value

    def login(self, login, name=None, **more):
        answers = self.post("auth/login", {"login": login, "password": servers.PASSWORD}, by=None, **more)
        self.keep(f"token of {name or login}", answers, "token")
        return answers

    def key(self, login, name):
        """Issues an API key, by which `name` can ask."""
        answers = self.post(f"user/{login}/api_key", {"name": name})
        self.keep(f"token of {name}", answers, "token")
        self.keep(f"id of {name}", answers, "id")
        return answers

    def account(self, login, *capabilities, groups=()):
        """Makes an account as an administrator does, and logs it in."""
        self.post(f"user/{login}", {"email": f"{login}@example.com", "additional_info": "compared"})
        self.keep("link", self.get(f"user/{login}/change_password"), "token")
        self.post("auth/change_password", {"token": "<<link>>", "password": servers.PASSWORD}, by=None)
        self.put(f"group/{login}", {"capabilities": list(capabilities)})
        for group in groups:
            self.post(f"group/{group}/member/{login}")
        self.login(login)

    def upload(self, content, name="sample.bin", options=None, by="admin", **more):
        import json

        parts = [("file", content, name)]
        if options is not None:
            parts.append(("options", options if isinstance(options, str) else json.dumps(options)))
        return self.ask("POST", "file", wire.Multipart(*parts), by, **more)

    def state(self, ids, by=("admin",), label="state"):
        """Everything that these users see of these objects."""
        for user in by:
            self.get("object", by=user, label=label)
            for dhash in ids:
                for part in ("", "/tag", "/comment", "/share", "/attribute", "/relations", "/meta"):
                    self.get(f"object/{dhash}{part}", by=user, label=label)
