"""Random but valid operations of several users, and what all see in between and afterwards."""

import random

from ..world import CREW, sha
from . import scenario

USERS = ("alice", "bob", "carol", "erin", "mallory")


@scenario
def sequences(pair):
    chance = random.Random(pair.seed)
    pair.account("mallory", *CREW, groups=("readers",))
    pair.post("group/team", {})
    objects, keys, comments, attributes = [], ("open", "hidden", "linked", "settable"), 0, 0
    groups = ("crew", "readers", "team", "public", "registered", "alice", "carol", "mallory")

    def some():
        return chance.choice(objects) if objects else "0" * 64

    def options():
        made = {"upload_as": chance.choice(("*", "*", "private", "crew", "readers", "public", "team"))}
        if objects and chance.random() < 0.5:
            made["parent"] = some()
        if chance.random() < 0.4:
            made["tags"] = [{"tag": chance.choice("abcde")} for _ in range(chance.randrange(3))]
        if chance.random() < 0.3:
            made["attributes"] = [{"key": chance.choice(keys), "value": chance.choice((1, "x", [1], {"a": 1}))}]
        if chance.random() < 0.2:
            made["share_3rd_party"] = False
        return made

    def known(dhash):
        if dhash not in objects:
            objects.append(dhash)

    def upload(user):
        content = f"sequence {chance.randrange(12)} {pair.seed}"
        pair.upload(content, name=chance.choice("xyz"), by=user, options=options())
        known(sha(content))

    def blob(user):
        content = f"sequence blob {chance.randrange(6)} {pair.seed}"
        pair.post("blob", {"blob_name": "n", "blob_type": "t", "content": content, **options()}, by=user)
        known(sha(content))

    def config(user):
        number = chance.randrange(6)
        cfg = {"sequence": number, "seed": pair.seed}
        if number > 3:
            cfg["raw"] = {"in-blob": {"blob_name": "n", "blob_type": "t", "content": f"sequence blob {number} {pair.seed}"}}
            known(sha(f"sequence blob {number} {pair.seed}"))
        answers = pair.post("config", {"family": "sequence", "cfg": cfg, **options()}, by=user)
        if answers.ok:
            known(answers[0].json["id"])

    def comment(user):
        nonlocal comments
        answers = pair.post(f"object/{some()}/comment", {"comment": f"comment {comments}"}, by=user)
        if answers.ok:
            pair.keep(f"comment {comments}", answers, "id")
            comments += 1

    def attribute(user):
        nonlocal attributes
        answers = pair.post(
            f"object/{some()}/attribute", {"key": chance.choice(keys), "value": chance.choice((1, 2, "x", "y", [1], {"a": 1}))}, by=user
        )
        if answers.ok and answers[0].json["attributes"]:
            pair.keep(f"attribute {attributes}", answers, lambda body: body["attributes"][-1]["id"])
            attributes += 1

    operations = (
        (6, upload),
        (2, blob),
        (3, config),
        (3, comment),
        (3, attribute),
        (3, lambda user: pair.put(f"object/{some()}/tag", {"tag": chance.choice("abcdefg")}, by=user)),
        (2, lambda user: pair.delete(f"object/{some()}/tag?tag={chance.choice('abcdefg')}", by=user)),
        (5, lambda user: pair.put(f"object/{some()}/share", {"group": chance.choice(groups)}, by=user)),
        (6, lambda user: pair.put(f"object/{some()}/child/{some()}", by=user)),
        (5, lambda user: pair.delete(f"object/{some()}/child/{some()}", by=user)),
        (1, lambda user: pair.delete(f"object/{some()}", by=user)),
        (1, lambda user: pair.delete(f"object/{some()}/comment/<<comment {chance.randrange(max(1, comments))}>>", by=user)),
        (1, lambda user: pair.delete(f"object/{some()}/attribute/<<attribute {chance.randrange(max(1, attributes))}>>", by=user)),
        (2, lambda user: pair.ask(chance.choice(("PUT", "DELETE")), f"object/{some()}/favorite", by=user)),
        (1, lambda user: pair.put(f"object/{some()}/share_3rd_party", by=user)),
        (
            2,
            lambda user: pair.ask(
                chance.choice(("POST", "DELETE")), f"group/{chance.choice(('team', 'readers', 'crew'))}/member/{chance.choice(USERS)}"
            ),
        ),
        (1, lambda user: pair.get(f"object/{some()}", by=user)),
        (1, lambda user: pair.put("group/team", {"workspace": chance.random() < 0.5})),
        (
            1,
            lambda user: pair.put(
                "group/mallory",
                {
                    "capabilities": [
                        *CREW,
                        *chance.sample(
                            ("share_queried_objects", "access_all_objects", "sharing_with_all", "access_uploader_info"), chance.randrange(3)
                        ),
                    ]
                },
            ),
        ),
    )
    weights = [weight for weight, _ in operations]
    for step in range(pair.steps):
        user = chance.choice(USERS)
        chance.choices(operations, weights)[0][1](user)
        # Who sees all shares, and whom each is told to come from.
        for dhash in objects:
            pair.get(f"object/{dhash}/share", by="erin", label=f"step {step}")
        if step % 50 == 49:
            for query in (
                "uploader:alice",
                "sharer:carol",
                "shared:crew",
                "NOT shared:crew",
                "parent:(tag:a)",
                "child:(parent:(tag:b))",
                "upload_count:>1",
                "upload_count:1",
                "favorites:alice",
                "NOT child:(NOT tag:a)",
                "comment_author:bob",
                "uploader:crew",
                "sharer:readers",
                "uploader:team",
            ):
                for who in USERS:
                    pair.get(f"object?count=40&query={query.replace(' ', '%20').replace('>', '%3E')}", by=who, label=f"step {step}")
            # The order of relations within a type is that of their making; both may have several at once.
            pair.state(objects, USERS, label=f"step {step}")
    pair.get("group")
    pair.get("user")
