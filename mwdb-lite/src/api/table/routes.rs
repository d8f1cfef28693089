//! The entries. Keep one route a line where it fits, in the order of MWDB API §A2.

use rocket::http::Method::{self, Delete, Get, Post, Put};

use super::{
    Access::{self, Anyone, Depends, Login, Needs, Token},
    Entry, Feature,
    Gives::{self, Bytes, Fields, Item, Keyed, List, Null, Text},
    Takes::{self, Either, Form, Json, MaybeJson, Nothing},
};
use crate::auth::Capability as C;

#[expect(clippy::too_many_arguments, reason = "the columns of the table")]
const fn route(
    method: Method,
    path: &'static str,
    resource: &'static str,
    summary: &'static str,
    access: Access,
    takes: Takes,
    gives: Gives,
    refuses: &'static [u16],
) -> Entry {
    Entry { method, path, resource, summary, access, feature: None, takes, gives, refuses }
}

impl Entry {
    const fn deprecated(mut self, feature: Feature) -> Self {
        self.feature = Some(feature);
        self
    }
}

const OPTIONS: &str = "parent:string? upload_as:string attributes:[AttributeValue] metakeys:[MetakeyValue] tags:[Tag] karton_id:uuid? \
    karton_arguments:object share_3rd_party:boolean";
const CONFIG: &str = "family:string! config_type:string cfg:object! parent:string? upload_as:string attributes:[AttributeValue] \
    metakeys:[MetakeyValue] tags:[Tag] karton_id:uuid? karton_arguments:object share_3rd_party:boolean";
const BLOB: &str = "blob_name:string! blob_type:string! content:string! parent:string? upload_as:string attributes:[AttributeValue] \
    metakeys:[MetakeyValue] tags:[Tag] karton_id:uuid? karton_arguments:object share_3rd_party:boolean";
const LEGACY: &str = "json:string metakeys:string upload_as:string";
const FILE_FORM: &str = "file:binary! options:string";
const LEGACY_FILE_FORM: &str = "file:binary! json:string metakeys:string upload_as:string";
const USER: &str = "email:string! additional_info:string! feed_quality:string send_email:boolean";
const USER_CHANGES: &str = "email:string? additional_info:string? feed_quality:string? disabled:boolean? send_email:boolean?";
const GROUP_CHANGES: &str = "name:string? capabilities:[string]? default:boolean? workspace:boolean? provider:string?";
const DEFINITION: &str =
    "key:string! label:string! description:string! url_template:string rich_template:string example_value:string hidden:boolean!";
const DEFINITION_CHANGES: &str =
    "label:string? description:string? url_template:string? rich_template:string? example_value:string? hidden:boolean?";

/// All routes there are. Some are mounted only with a setting: `share_3rd_party`, `varz`.
#[rustfmt::skip]
pub(crate) static TABLE: &[Entry] = &[
    // Server and authentication
    route(Get, "/ping", "pingresource", "Whether the server and its database answer", Anyone, Nothing, Fields("status:string!"), &[503]),
    route(Get, "/server", "serverinforesource", "Version and public settings", Anyone, Nothing, Item("Server"), &[]),
    route(Get, "/server/admin", "serveradmininforesource", "Settings for administrators", Needs(C::ManageUsers), Nothing, Fields("rate_limit_enabled:boolean! plugins_enabled:boolean! active_plugins:object!"), &[]),
    route(Get, "/docs", "serverdocsresource", "This document", Login, Nothing, Fields("openapi:string! info:object! paths:object!"), &[]),
    route(Post, "/auth/login", "loginresource", "Open a session by password", Anyone, Json("login:string! password:string!"), Item("Session"), &[400, 403]),
    route(Post, "/auth/register", "registerresource", "Ask for an account", Anyone, Json("login:string! email:string! additional_info:string! recaptcha:string"), Item("LoginName"), &[400, 403, 409]),
    route(Post, "/auth/change_password", "changepasswordresource", "Set a password by the token of a link", Token, Json("token:string! password:string!"), Item("LoginName"), &[400, 403]),
    route(Post, "/auth/request_password_change", "requestpasswordchangeresource", "Mail oneself a link to set a password", Needs(C::ManageProfile), Nothing, Item("LoginName"), &[500]),
    route(Post, "/auth/recover_password", "recoverpasswordresource", "Mail a link to who knows login and address", Anyone, Json("login:string! email:string! recaptcha:string"), Item("LoginName"), &[400, 403, 500]),
    route(Post, "/auth/refresh", "refreshtokenresource", "A new session", Login, Nothing, Item("Session"), &[]),
    route(Get, "/auth/validate", "validatetokenresource", "Who one is", Login, Nothing, Item("Identity"), &[]),
    route(Get, "/auth/groups", "authgrouplistresource", "Own workspaces", Login, Nothing, Keyed("groups", "Group"), &[]),
    route(Post, "/user/<login>/api_key", "apikeyissueresource", "Issue an API key", Depends("`manage_profile`, for others also `manage_users`"), MaybeJson("name:string"), Item("IssuedKey"), &[400, 404]),
    route(Delete, "/api_key/<key>", "apikeyresource", "Revoke an API key", Needs(C::ManageProfile), Nothing, Null, &[400, 404]),
    // Objects
    route(Get, "/<kind>?<query>&<older_than>&<count>&<page>", "*resource", "Objects, newest first", Login, Nothing, Item("ObjectList"), &[400, 404]),
    route(Get, "/<kind>/count?<query>", "objectcountresource", "How many objects match", Login, Nothing, Fields("count:integer!"), &[400, 503]),
    route(Post, "/search", "searchresource", "Objects of all types that match, in a bare list", Login, Json("query:string!"), List("ObjectRef"), &[400]).deprecated(Feature::Search),
    route(Post, "/file", "fileresource", "Upload a file", Needs(C::AddingFiles), Form(FILE_FORM), Item("File"), &[400, 404, 409, 413]),
    route(Post, "/config", "configresource", "Upload a config", Needs(C::AddingConfigs), Json(CONFIG), Item("Config"), &[400, 404, 409, 413]),
    route(Post, "/blob", "textblobresource", "Upload a blob", Needs(C::AddingBlobs), Json(BLOB), Item("Blob"), &[400, 404, 409, 413]),
    route(Get, "/<kind>/<hash>", "*itemresource", "One object", Login, Nothing, Item("Object"), &[404]),
    route(Delete, "/<kind>/<hash>", "*itemresource", "Delete an object", Needs(C::RemovingObjects), Nothing, Null, &[404]),
    route(Post, "/file/<parent>", "fileitemresource", "Upload a file below a parent", Needs(C::AddingFiles), Form(LEGACY_FILE_FORM), Item("File"), &[400, 404, 409, 413]).deprecated(Feature::FileUpload),
    route(Put, "/config/<parent>", "configitemresource", "Upload a config below a parent", Needs(C::AddingConfigs), Either(LEGACY), Item("Config"), &[400, 404, 409, 413]).deprecated(Feature::FileUpload),
    route(Put, "/blob/<parent>", "textblobitemresource", "Upload a blob below a parent", Needs(C::AddingBlobs), Either(LEGACY), Item("Blob"), &[400, 404, 409, 413]).deprecated(Feature::FileUpload),
    route(Get, "/config/stats?<range>", "configstatsresource", "Families and how many configs each has", Login, Nothing, Keyed("families", "Family"), &[400]),
    route(Put, "/object/<hash>/favorite", "objectfavoriteresource", "Make an object a favourite", Needs(C::Personalize), Nothing, Null, &[404]),
    route(Delete, "/object/<hash>/favorite", "objectfavoriteresource", "No longer a favourite", Needs(C::Personalize), Nothing, Null, &[404]),
    route(Put, "/object/<hash>/share_3rd_party", "objectshare3rdpartyresource", "Allow sharing with third parties", Needs(C::Modify3rdPartySharing), Nothing, Null, &[404]),
    route(Get, "/file/<hash>/download?<token>&<obfuscate>", "filedownloadresource", "Content of a file, whole or one range", Depends("login, or a download token"), Nothing, Bytes, &[206, 401, 403, 404, 416]),
    route(Post, "/file/<hash>/download", "filedownloadresource", "A token to download by", Login, Nothing, Fields("token:string!"), &[404]),
    route(Get, "/file/<hash>/download/zip?<token>", "filedownloadzipresource", "Content of a file in an encrypted zip", Depends("login, or a download token"), Nothing, Bytes, &[401, 403, 404]),
    route(Post, "/file/<hash>/download/zip", "filedownloadzipresource", "A token to download by", Login, Nothing, Fields("token:string!"), &[404]),
    route(Post, "/request/sample/<identifier>", "requestsampledownloadresource", "An address to download from", Login, Nothing, Fields("url:string!"), &[404]).deprecated(Feature::FileDownload),
    route(Get, "/download/<token>", "downloadresource", "Content of a file", Token, Nothing, Bytes, &[403]).deprecated(Feature::FileDownload),
    // Metadata
    route(Get, "/tag?<query>&<count>", "taglistresource", "Tags that begin with a text", Login, Nothing, List("Tag"), &[400]),
    route(Get, "/<kind>/<hash>/tag", "tagresource", "Tags of an object", Login, Nothing, List("Tag"), &[404]),
    route(Put, "/<kind>/<hash>/tag", "tagresource", "Add a tag", Needs(C::AddingTags), Json("tag:string!"), List("Tag"), &[400, 404]),
    route(Delete, "/<kind>/<hash>/tag?<tag>", "tagresource", "Remove a tag", Needs(C::RemovingTags), Nothing, List("Tag"), &[400, 404]),
    route(Get, "/<kind>/<hash>/comment", "commentresource", "Comments", Login, Nothing, List("Comment"), &[404]),
    route(Post, "/<kind>/<hash>/comment", "commentresource", "Add a comment", Needs(C::AddingComments), Json("comment:string!"), Item("Comment"), &[400, 404]),
    route(Delete, "/<kind>/<hash>/comment/<id>", "commentdeleteresource", "Remove a comment", Needs(C::RemovingComments), Nothing, Null, &[404]),
    route(Get, "/<kind>/<hash>/relations", "relationsresource", "Parents and children", Login, Nothing, Fields("parents:[ObjectRef]! children:[ObjectRef]!"), &[404]),
    route(Put, "/<kind>/<parent>/child/<child>", "objectchildresource", "Link two objects", Needs(C::AddingParents), Nothing, Null, &[404]),
    route(Delete, "/<kind>/<parent>/child/<child>", "objectchildresource", "Unlink two objects", Needs(C::RemovingParents), Nothing, Null, &[404]),
    route(Get, "/share", "sharegrouplistresource", "Groups one may share with", Login, Nothing, Fields("groups:[string]!"), &[]),
    route(Get, "/<kind>/<hash>/share", "shareresource", "Who sees an object, and why", Login, Nothing, Fields("groups:[string]! shares:[Share]!"), &[404]),
    route(Put, "/<kind>/<hash>/share", "shareresource", "Share an object with a group", Login, Json("group:string!"), Fields("shares:[Share]!"), &[400, 403, 404]),
    route(Get, "/<kind>/quick_query", "quickqueryresource", "Saved searches", Login, Nothing, List("QuickQuery"), &[]),
    route(Post, "/<kind>/quick_query", "quickqueryresource", "Save a search", Needs(C::Personalize), Json("name:string! query:string! type:string!"), Item("QuickQuery"), &[400]),
    route(Delete, "/quick_query/<id>", "quickqueryitemresource", "Remove a saved search", Needs(C::Personalize), Nothing, Null, &[404]),
    route(Get, "/<kind>/<hash>/attribute?<hidden>", "attributelistresource", "Attributes of an object", Depends("login, with `hidden` also `reading_all_attributes`"), Nothing, Keyed("attributes", "Attribute"), &[400, 404]),
    route(Post, "/<kind>/<hash>/attribute", "attributelistresource", "Add an attribute", Depends("the right to set the key"), Json("key:string! value:any!"), Keyed("attributes", "Attribute"), &[400, 404]),
    route(Delete, "/<kind>/<hash>/attribute/<id>", "attributeresource", "Remove an attribute", Needs(C::RemovingAttributes), Nothing, Null, &[404]),
    route(Get, "/attribute?<access>", "attributedefinitionlistresource", "Keys of attributes", Depends("login, for `access=manage` also `manage_users`"), Nothing, Keyed("attribute_definitions", "AttributeDefinition"), &[400]),
    route(Post, "/attribute", "attributedefinitionlistresource", "Define a key", Needs(C::ManageUsers), Json(DEFINITION), Item("AttributeDefinition"), &[400, 409]),
    route(Get, "/attribute/<key>", "attributedefinitionresource", "One key", Needs(C::ManageUsers), Nothing, Item("AttributeDefinition"), &[404]),
    route(Put, "/attribute/<key>", "attributedefinitionresource", "Change a key", Needs(C::ManageUsers), Json(DEFINITION_CHANGES), Item("AttributeDefinition"), &[400, 404]),
    route(Delete, "/attribute/<key>", "attributedefinitionresource", "Remove a key with all its values", Needs(C::ManageUsers), Nothing, Null, &[404]),
    route(Get, "/attribute/<key>/permissions", "attributepermissionresource", "Who may read and set a key", Needs(C::ManageUsers), Nothing, Keyed("attribute_permissions", "AttributeRights"), &[404]),
    route(Put, "/attribute/<key>/permissions", "attributepermissionresource", "Give a group rights on a key", Needs(C::ManageUsers), Json("group_name:string! can_read:boolean! can_set:boolean!"), Fields("can_read:boolean! can_set:boolean!"), &[400, 404]),
    route(Delete, "/attribute/<key>/permissions?<group_name>", "attributepermissionresource", "Take them from a group", Needs(C::ManageUsers), Nothing, Null, &[400, 404]),
    route(Get, "/<kind>/<hash>/meta?<hidden>", "metakeyresource", "Attributes as texts", Depends("login, with `hidden` also `reading_all_attributes`"), Nothing, Keyed("metakeys", "Metakey"), &[400, 404]).deprecated(Feature::MetakeyApi),
    route(Post, "/<kind>/<hash>/meta", "metakeyresource", "Add an attribute as text", Depends("the right to set the key"), Json("key:string! value:string!"), Keyed("metakeys", "Metakey"), &[400, 404]).deprecated(Feature::MetakeyApi),
    route(Delete, "/<kind>/<hash>/meta?<key>&<value>", "metakeyresource", "Remove attributes by text", Needs(C::RemovingAttributes), Nothing, Null, &[400, 404]).deprecated(Feature::MetakeyApi),
    route(Get, "/meta/list/read", "metakeylistdefinitionresource", "Keys one may read", Login, Nothing, Keyed("metakeys", "MetakeyDefinition"), &[]).deprecated(Feature::MetakeyApi),
    route(Get, "/meta/list/set", "metakeylistdefinitionresource", "Keys one may set", Login, Nothing, Keyed("metakeys", "MetakeyDefinition"), &[]).deprecated(Feature::MetakeyApi),
    route(Get, "/meta/manage", "metakeylistdefinitionmanageresource", "Keys with everybody's rights", Needs(C::ManageUsers), Nothing, Keyed("metakeys", "ManagedMetakey"), &[]).deprecated(Feature::MetakeyApi),
    route(Get, "/meta/manage/<key>", "metakeydefinitionmanageresource", "One key with everybody's rights", Needs(C::ManageUsers), Nothing, Item("ManagedMetakey"), &[404]).deprecated(Feature::MetakeyApi),
    route(Post, "/meta/manage/<key>", "metakeydefinitionmanageresource", "Define a key", Needs(C::ManageUsers), Json("template:string! label:string! description:string! hidden:boolean!"), Item("MetakeyDefinition"), &[400, 409]).deprecated(Feature::MetakeyApi),
    route(Put, "/meta/manage/<key>", "metakeydefinitionmanageresource", "Change a key", Needs(C::ManageUsers), Json("template:string? label:string? description:string? hidden:boolean?"), Item("MetakeyDefinition"), &[400, 404]).deprecated(Feature::MetakeyApi),
    route(Delete, "/meta/manage/<key>", "metakeydefinitionmanageresource", "Remove a key with all its values", Needs(C::ManageUsers), Nothing, Null, &[404]).deprecated(Feature::MetakeyApi),
    route(Put, "/meta/manage/<key>/permissions/<group_name>", "metakeypermissionresource", "Give a group rights on a key", Needs(C::ManageUsers), Json("can_read:boolean! can_set:boolean!"), Item("ManagedMetakey"), &[400, 404]).deprecated(Feature::MetakeyApi),
    route(Delete, "/meta/manage/<key>/permissions/<group_name>", "metakeypermissionresource", "Take them from a group", Needs(C::ManageUsers), Nothing, Null, &[404]).deprecated(Feature::MetakeyApi),
    route(Get, "/<kind>/<hash>/karton?<older_than>", "kartonobjectresource", "Analyses of an object", Login, Nothing, Fields("status:string! analyses:[Analysis]!"), &[400, 404, 503]),
    route(Post, "/<kind>/<hash>/karton", "kartonobjectresource", "Send an object to Karton again", Needs(C::KartonReanalyze), MaybeJson("arguments:object"), Item("Analysis"), &[400, 404, 503]),
    route(Get, "/<kind>/<hash>/karton/<uuid>", "kartonanalysisresource", "One analysis", Login, Nothing, Item("Analysis"), &[400, 404, 503]),
    route(Put, "/<kind>/<hash>/karton/<uuid>", "kartonanalysisresource", "Assign an analysis", Needs(C::KartonAssign), Nothing, Item("Analysis"), &[400, 404, 503]),
    route(Delete, "/<kind>/<hash>/karton/<uuid>", "kartonanalysisresource", "Take an analysis from an object", Needs(C::KartonUnassign), Nothing, Null, &[400, 404]),
    // Administration
    route(Get, "/user?<pending>", "userlistresource", "Accounts, or those that wait for acceptance", Needs(C::ManageUsers), Nothing, Keyed("users", "UserItem"), &[]),
    route(Get, "/user/<login>", "userresource", "One account", Needs(C::ManageUsers), Nothing, Item("User"), &[404]),
    route(Post, "/user/<login>", "userresource", "Make an account", Needs(C::ManageUsers), Json(USER), Item("LoginName"), &[400, 409, 500]),
    route(Put, "/user/<login>", "userresource", "Change an account", Needs(C::ManageUsers), Json(USER_CHANGES), Item("LoginName"), &[400, 404]),
    route(Delete, "/user/<login>", "userresource", "Remove an account", Needs(C::ManageUsers), Nothing, Item("LoginName"), &[404]),
    route(Get, "/user/<login>/change_password", "usergetpasswordchangetokenresource", "A token that sets a password once", Needs(C::ManageUsers), Nothing, Fields("login:string! token:string!"), &[404]),
    route(Post, "/user/<login>/request_password_change", "userrequestpasswordchangeresource", "Mail a link to set a password", Needs(C::ManageUsers), Nothing, Item("LoginName"), &[400, 404, 500]),
    route(Post, "/user/<login>/pending", "userpendingresource", "Accept a registration", Needs(C::ManageUsers), Nothing, Item("LoginName"), &[400, 404, 500]),
    route(Delete, "/user/<login>/pending?<send_email>", "userpendingresource", "Reject a registration", Needs(C::ManageUsers), Nothing, Item("LoginName"), &[400, 404]),
    route(Get, "/profile/<login>", "userprofileresource", "Own account, or that of a group mate", Login, Nothing, Item("Profile"), &[400, 404]),
    route(Get, "/group", "grouplistresource", "Groups", Needs(C::ManageUsers), Nothing, Keyed("groups", "Group"), &[]),
    route(Get, "/group/<name>", "groupresource", "One group", Needs(C::ManageUsers), Nothing, Item("Group"), &[404]),
    route(Post, "/group/<name>", "groupresource", "Make a group", Needs(C::ManageUsers), Json("capabilities:[string]"), Item("GroupName"), &[400, 409]),
    route(Put, "/group/<name>", "groupresource", "Change a group", Needs(C::ManageUsers), Json(GROUP_CHANGES), Item("GroupName"), &[400, 404, 409]),
    route(Delete, "/group/<name>", "groupresource", "Remove a group", Needs(C::ManageUsers), Nothing, Item("GroupName"), &[404]),
    route(Post, "/group/<name>/member/<login>", "groupmemberresource", "Add a member", Needs(C::ManageUsers), Nothing, Item("GroupName"), &[400, 404, 409]),
    route(Put, "/group/<name>/member/<login>", "groupmemberresource", "Make a member administrator of the group, or not", Needs(C::ManageUsers), Json("group_admin:boolean!"), Item("GroupName"), &[400, 404]),
    route(Delete, "/group/<name>/member/<login>", "groupmemberresource", "Remove a member", Depends("`manage_users`, or administrator of the group"), Nothing, Item("GroupName"), &[400, 403, 404, 409]),
    route(Get, "/varz", "metricsresource", "Metrics, as Prometheus reads them", Needs(C::AccessPrometheusMetrics), Nothing, Text, &[]),
    route(Get, "/remote", "remotelistresource", "Other servers that are known: none", Login, Nothing, Fields("remotes:[string]!"), &[]),
];

/// What the `options` part of an upload holds.
pub(crate) const UPLOAD_OPTIONS: &str = OPTIONS;
