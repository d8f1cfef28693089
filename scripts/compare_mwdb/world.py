"""The accounts, groups, attribute keys and objects that most questions are about. Made in both alike."""

import hashlib

# Who sees and shares everything.
ERIN = (
    "access_all_objects",
    "sharing_with_all",
    "access_uploader_info",
    "share_queried_objects",
    "reading_all_attributes",
    "adding_all_attributes",
    "adding_files",
    "adding_parents",
)
CREW = (
    "adding_files",
    "adding_configs",
    "adding_blobs",
    "adding_tags",
    "removing_tags",
    "adding_comments",
    "removing_comments",
    "adding_parents",
    "removing_parents",
    "removing_attributes",
    "removing_objects",
    "manage_profile",
    "personalize",
    "karton_assign",
    "karton_reanalyze",
    "karton_unassign",
    "modify_3rd_party_sharing",
)
ADMIN = (
    *CREW,
    "manage_users",
    "share_queried_objects",
    "access_all_objects",
    "sharing_with_all",
    "access_uploader_info",
    "reading_all_attributes",
    "adding_all_attributes",
    "unlimited_requests",
    "access_prometheus_metrics",
)
# New in 2.20, where everybody has them through `public`. Ours knows them as any other name that is no capability.
DOWNLOADS = ("downloading_files", "downloading_zipped_files")
# Alice can do everything that concerns objects; Bob is in her group and can upload; Carol is a stranger who can do as
# much as Alice; Dave can do nothing; Erin has all rights to see and to share; Frank is disabled and has a key; Grace waits.
USERS = ("admin", "alice", "bob", "carol", "dave", "erin")


def sha(text):
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def build(pair):
    pair.scenario = "world"
    pair.login("admin", compare=False)
    pair.put("group/public", {"capabilities": DOWNLOADS})
    pair.put("group/admin", {"capabilities": ADMIN})
    pair.login("admin")
    pair.post("group/crew", {"capabilities": []})
    pair.post("group/readers", {"capabilities": ["adding_comments"]})
    pair.account("alice", *CREW, groups=("crew",))
    pair.account("bob", "adding_files", "adding_blobs", "adding_configs", groups=("crew",))
    pair.account("carol", *CREW)
    pair.account("dave")
    pair.account("erin", *ERIN, groups=("readers",))
    pair.account("frank", *CREW, groups=("crew",))
    pair.key("frank", "frank's key")
    pair.key("admin", "admin's key")
    pair.put("user/frank", {"disabled": True})
    pair.post("auth/register", {"login": "grace", "email": "grace@example.com", "additional_info": "waits"}, by=None)
    for key, hidden in (("open", False), ("hidden", True), ("closed", False), ("settable", False), ("linked", False)):
        pair.post(
            "attribute",
            {
                "key": key,
                "label": f"Label {key}",
                "description": f"About {key}",
                "hidden": hidden,
                "url_template": "http://example.com/$value" if key == "linked" else "",
            },
        )
    for key in ("open", "hidden", "linked"):
        pair.put(f"attribute/{key}/permissions", {"group_name": "public", "can_read": True, "can_set": True})
    pair.put("attribute/settable/permissions", {"group_name": "crew", "can_read": False, "can_set": True})
    pair.put("attribute/closed/permissions", {"group_name": "crew", "can_read": True, "can_set": False})
