"""Says where two answers differ.

The one rule: times, tokens and ids made by a server may differ, but the same one must always stand for the same one.
"""

import ast
import base64
import binascii
import json
import re

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
# Lists that the reference gives in any order, another one in each of its processes. Of shares those that came at once.
UNORDERED = (
    ".capabilities",
    ".tags",
    ".users",
    ".admins",
    "body.groups",
    ".attribute_permissions",
    ".permissions",
    ".shares",
    ".families",
    ".received_from",
    ".metakeys[0].permissions",
)
ROUTE_404 = "The requested URL was not found on the server"
# Texts that clients look for.
MARKED = (
    ROUTE_404,
    "Invalid login or password",
    "Maintenance underway",
    "User registration is pending",
    "User account is disabled",
)


def claims(token):
    parts = []
    for part in token.split(".")[:2]:
        try:
            parts.append(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))
        except (binascii.Error, ValueError):
            return None
    if "exp" in parts[1]:
        parts[1]["exp"] -= parts[1].get("iat", 0)
    parts[1].pop("iat", None)
    return parts


def alike(reference, ours):
    """Whether two texts of refusals say the same to a client."""
    if any((text in reference) != (text in ours) for text in MARKED):
        return False
    if "Object not found" in reference and "Object not found" not in ours:
        return False
    mistakes = []
    for message in (reference, ours):
        try:
            mistakes.append(places(ast.literal_eval(message.removeprefix("ValidationError: "))))
        except (ValueError, SyntaxError):
            return True
    return mistakes[0] == mistakes[1]


def places(mistakes):
    if isinstance(mistakes, dict):
        return {key: places(value) for key, value in mistakes.items()}
    return None


class Differ:
    def __init__(self):
        # What one says for what the other says.
        self.pairs = {}

    def _pair(self, kind, reference, ours):
        forth = self.pairs.setdefault((kind, "reference", reference), ours)
        back = self.pairs.setdefault((kind, "ours", ours), reference)
        return forth == ours and back == reference

    def replies(self, reference, ours):
        """Pairs of a place and what the two say there."""
        if reference.status != ours.status:
            yield "status", f"{reference.status} {self._short(reference)}", f"{ours.status} {self._short(ours)}"
            return
        for name in sorted(reference.headers.keys() | ours.headers.keys()):
            left, right = reference.headers.get(name), ours.headers.get(name)
            if name == "allow" and left and right:
                left, right = ({word.strip() for word in text.split(",")} for text in (left, right))
            if left != right:
                yield f"header {name}", str(left), str(right)
        try:
            left, right = reference.json, ours.json
        except ValueError:
            if reference.body != ours.body:
                yield "body", reference.body[:300], ours.body[:300]
            return
        yield from self.values("body", left, right)

    @staticmethod
    def _short(reply):
        return reply.body.decode("utf-8", "replace").strip()[:300]

    def values(self, place, reference, ours, kind="id"):
        if type(reference) is not type(ours):
            yield place, repr(reference)[:300], repr(ours)[:300]
        elif isinstance(reference, dict):
            if reference.keys() == ours.keys() == {"message"}:
                if not alike(reference["message"], ours["message"]):
                    yield f"{place}.message", reference["message"][:400], ours["message"][:400]
                return
            kind = next((key for key in ("comment", "query", "value") if key in reference), "id")
            for key in sorted(reference.keys() | ours.keys()):
                if key not in reference or key not in ours:
                    yield f"{place}.{key}", *(repr(side[key])[:200] if key in side else "(absent)" for side in (reference, ours))
                else:
                    yield from self.values(f"{place}.{key}", reference[key], ours[key], kind)
        elif isinstance(reference, list):
            yield from self._lists(place, reference, ours, kind)
        elif reference == ours and repr(reference) == repr(ours):
            return
        elif isinstance(reference, str):
            if not self._same_text(reference, ours):
                yield place, repr(reference)[:300], repr(ours)[:300]
        elif isinstance(reference, int) and place.endswith(".id"):
            if not self._pair(kind, reference, ours):
                yield place, repr(reference), f"{ours!r}, which is another one"
        else:
            yield place, repr(reference)[:300], repr(ours)[:300]

    def _lists(self, place, reference, ours, kind):
        if place.endswith(UNORDERED):
            reference, ours = sorted(reference, key=self._key), sorted(ours, key=self._key)
        elif place.endswith((".parents", ".children")):
            # Ordered within each type.
            reference, ours = (sorted(items, key=lambda item: item["type"]) for items in (reference, ours))
        if len(reference) == len(ours):
            found = [
                difference
                for index, (left, right) in enumerate(zip(reference, ours, strict=True))
                for difference in self.values(f"{place}[{index}]", left, right, kind)
            ]
            if not found:
                return
        else:
            found = [(f"{place} length", f"{len(reference)} {self._brief(reference)}", f"{len(ours)} {self._brief(ours)}")]
        if sorted(map(self._key, reference)) == sorted(map(self._key, ours)):
            yield f"{place} order", self._brief(reference), self._brief(ours)
        else:
            yield from found

    def _key(self, value):
        """By what items of lists are told apart: what names them comes first."""
        bare = self._bare(value)
        name = next((bare[key] for key in ("login", "group_name", "name", "family") if key in bare), "") if isinstance(bare, dict) else ""
        return json.dumps([name, bare], sort_keys=True)

    def _bare(self, value):
        if isinstance(value, dict):
            return {key: "<id>" if key == "id" and isinstance(item, int) else self._bare(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._bare(item) for item in value]
        if isinstance(value, str):
            for pattern in (TIME, UUID, JWT):
                if pattern.fullmatch(value):
                    return pattern.pattern
        return value

    @staticmethod
    def _brief(items):
        names = ("id", "tag", "name", "key", "group_name", "login", "comment", "family", "value")
        return str(
            [next((str(item[name])[:20] for name in names if name in item), item) if isinstance(item, dict) else item for item in items]
        )[:300]

    def _same_text(self, reference, ours):
        if TIME.fullmatch(reference) and TIME.fullmatch(ours):
            return True
        if DATE.fullmatch(reference) and DATE.fullmatch(ours):
            return True
        if UUID.fullmatch(reference) and UUID.fullmatch(ours):
            return self._pair("uuid", reference, ours)
        if JWT.fullmatch(reference) and JWT.fullmatch(ours):
            left, right = claims(reference), claims(ours)
            return left is not None and right is not None and not list(self.values("token", left, right))
        if re.fullmatch("[0-9a-f]{16}", reference) and re.fullmatch("[0-9a-f]{16}", ours):
            # The versions of passwords and identities.
            return self._pair("version", reference, ours)
        left, right = JWT.search(reference), JWT.search(ours)
        if left and right:
            return reference.replace(left[0], "") == ours.replace(right[0], "") and self._same_text(left[0], right[0])
        return False
