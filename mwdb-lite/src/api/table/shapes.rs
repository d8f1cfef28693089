//! The shapes that replies and requests are made of, and how a short text becomes a JSON schema.

use serde_json::{Map, Value, json};

use super::routes::UPLOAD_OPTIONS;

/// Names and fields.
const SHAPES: &[(&str, &str)] = &[
    ("Error", "message:string!"),
    (
        "Server",
        "server_version:string! is_authenticated:boolean! instance_name:string! is_maintenance_set:boolean! \
         is_registration_enabled:boolean! is_password_auth_enabled:boolean! is_karton_enabled:boolean! is_oidc_enabled:boolean! \
         is_oidc_registration_enabled:boolean! is_3rd_party_sharing_consent_enabled:boolean! recaptcha_site_key:string!? \
         request_timeout:integer! file_upload_timeout:integer! statement_timeout:integer!",
    ),
    ("LoginName", "login:string!"),
    ("GroupName", "name:string!"),
    ("Identity", "login:string! capabilities:[string]! groups:[string]!"),
    ("Session", "login:string! token:string! capabilities:[string]! groups:[string]! provider:string!?"),
    ("ApiKey", "id:uuid! name:string! issued_on:date! issuer_login:string!?"),
    ("IssuedKey", "id:uuid! name:string! issued_on:date! issuer_login:string!? token:string!"),
    ("GroupBasic", "name:string! capabilities:[string]! private:boolean!"),
    (
        "Group",
        "name:string! capabilities:[string]! private:boolean! default:boolean! workspace:boolean! immutable:boolean! users:[string]! \
         admins:[string]!",
    ),
    (
        "UserItem",
        "login:string! email:string! additional_info:string! feed_quality:string! requested_on:date!? disabled:boolean! \
         pending:boolean! groups:[GroupBasic]!",
    ),
    (
        "User",
        "login:string! email:string! additional_info:string! feed_quality:string! requested_on:date!? disabled:boolean! \
         pending:boolean! groups:[GroupBasic]! registered_on:date!? logged_on:date!? set_password_on:date!? registrar_login:string!? \
         capabilities:[string]! api_keys:[ApiKey]!",
    ),
    (
        "Profile",
        "login:string! email:string! registered_on:date!? logged_on:date!? set_password_on:date? capabilities:[string] \
         groups:[GroupBasic] api_keys:[ApiKey]",
    ),
    ("Tag", "tag:string!"),
    ("ObjectRef", "id:string! type:string! tags:[Tag]! upload_time:date!"),
    ("ObjectList", "files:[object] configs:[object] blobs:[object] objects:[ObjectRef]"),
    (
        "Object",
        "id:string! type:string! tags:[Tag]! upload_time:date! favorite:boolean! share_3rd_party:boolean! parents:[ObjectRef]! \
         children:[ObjectRef]! attributes:[Attribute]!",
    ),
    (
        "File",
        "id:string! type:string! tags:[Tag]! upload_time:date! favorite:boolean! share_3rd_party:boolean! parents:[ObjectRef]! \
         children:[ObjectRef]! attributes:[Attribute]! file_name:string! file_size:integer! file_type:string! md5:string! sha1:string! \
         sha256:string! sha512:string! crc32:string! ssdeep:string!? alt_names:[string]! latest_config:object!?",
    ),
    (
        "Config",
        "id:string! type:string! tags:[Tag]! upload_time:date! favorite:boolean! share_3rd_party:boolean! parents:[ObjectRef]! \
         children:[ObjectRef]! attributes:[Attribute]! family:string! config_type:string! cfg:object!",
    ),
    (
        "Blob",
        "id:string! type:string! tags:[Tag]! upload_time:date! favorite:boolean! share_3rd_party:boolean! parents:[ObjectRef]! \
         children:[ObjectRef]! attributes:[Attribute]! blob_name:string! blob_size:integer! blob_type:string! content:string! \
         last_seen:date! latest_config:object!?",
    ),
    ("UploadOptions", UPLOAD_OPTIONS),
    ("Family", "family:string! last_upload:string! count:integer!"),
    ("Comment", "id:integer! author:string!? comment:string! timestamp:date!"),
    (
        "Share",
        "group_name:string! access_time:date! reason_type:string! related_object_dhash:string!? related_object_type:string!? \
         related_user_login:string!? access_reason:string!?",
    ),
    ("QuickQuery", "id:integer! name:string! query:string! type:string!"),
    ("Attribute", "id:integer! key:string! value:any!"),
    ("AttributeValue", "key:string! value:any!"),
    ("MetakeyValue", "key:string! value:string!"),
    (
        "AttributeDefinition",
        "key:string! label:string! description:string! url_template:string! rich_template:string! example_value:string! hidden:boolean!",
    ),
    ("AttributeRights", "group_name:string! can_read:boolean! can_set:boolean!"),
    ("Metakey", "key:string! value:string! url:string? label:string description:string"),
    ("MetakeyDefinition", "key:string! label:string! description:string! template:string! hidden:boolean!"),
    ("ManagedMetakey", "key:string! label:string! description:string! template:string! hidden:boolean! permissions:[AttributeRights]!"),
    ("Analysis", "id:uuid! status:string! arguments:object! last_update:date!? processing_in:object!"),
];

/// All named shapes as schemas.
pub(crate) fn all() -> Map<String, Value> {
    SHAPES.iter().map(|(name, fields)| ((*name).to_owned(), schema(fields))).collect()
}

/// The name under which other parts of the document point to a shape.
pub(crate) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The schema of an object with these fields.
pub(crate) fn schema(fields: &str) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields.split_whitespace() {
        let (name, kind) = field.split_once(':').unwrap_or((field, "any"));
        let kind_name = kind.trim_end_matches(['!', '?']);
        let marks = &kind[kind_name.len()..];
        if marks.contains('!') {
            required.push(name);
        }
        properties.insert(name.to_owned(), nullable(type_of(kind_name), marks.contains('?')));
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties.into());
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema.into()
}

fn nullable(mut schema: Value, nullable: bool) -> Value {
    if let Some(map) = schema.as_object_mut().filter(|_| nullable) {
        map.insert("nullable".to_owned(), true.into());
    }
    schema
}

fn type_of(name: &str) -> Value {
    if let Some(item) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return json!({"type": "array", "items": type_of(item)});
    }
    match name {
        "any" => json!({}),
        "uuid" => json!({"type": "string", "format": "uuid"}),
        "date" => json!({"type": "string", "format": "date-time"}),
        "binary" => json!({"type": "string", "format": "binary"}),
        "string" | "integer" | "boolean" | "object" => json!({"type": name}),
        shape => reference(shape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_become_schemas() {
        let expected = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string"},
                "b": {"type": "array", "items": {"$ref": "#/components/schemas/Tag"}},
                "c": {"type": "string", "format": "date-time", "nullable": true},
                "d": {},
            },
            "required": ["a", "c"],
        });
        assert_eq!(schema("a:string! b:[Tag] c:date!? d:any"), expected);
    }

    #[test]
    fn every_named_shape_exists() {
        let all = Value::from(all());
        let text = all.to_string();
        for piece in text.split("#/components/schemas/").skip(1) {
            let name = piece.split('"').next().unwrap_or_default();
            assert!(all.get(name).is_some(), "{name}");
        }
    }
}
