//! Queries about the JSON of configs and attributes. See MWDB search.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Server, id};
use crate::search::{define, found, refuse};

#[tokio::test]
async fn configs_are_found_by_their_json() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let cfg = r#"{"mark": "uniq", "v9": 9, "v10": 10, "neg": -5, "f": 0.5, "s": "10", "lst": [{"a": [1, [2, [3]]]}], "str": "a*b?c\\d\"e",
        "nl": "l1\nl2", "tab": "a\tb", "pl": "ąć", "obj": {"k": "v", "arr": ["x", "y z"]}, "e": "", "path": "C:\\new\\x41", "Up": "UP",
        "nullv": null, "dot.key": 1, "sp key": "v", "big": 123456789012345678901234567890, "exp": 1e5, "true": "true",
        "url": "http://e.com/?a=1&b=%20"}"#;
    let body = format!("{{\"family\": \"fam\", \"cfg\": {cfg}}}");
    admin.raw(Method::POST, "config", body).await.ok();
    admin.config(json!({"family": "fam", "cfg": {"mark": "other"}})).await.ok();
    let matching = [
        "cfg.v9:>8",
        "cfg.v10:>9",
        "cfg.v9:9.0",
        "cfg.v9:*9*",
        "cfg.v9:9*",
        "cfg.f:0.5",
        r#"cfg.f:"0.5""#,
        "cfg.neg:<0",
        "cfg.s:10",
        "cfg.lst.a:1",
        "cfg.lst.a:2",
        "cfg.lst.a*:2",
        "cfg.lst.a*:3",
        "cfg.lst.a**:3",
        "cfg.lst*.a:1",
        r#"cfg.str:"a\*b\?c\\d\"e""#,
        r"cfg.str:a\*b\?c*",
        r#"cfg.str:"a*e""#,
        r#"cfg.str:*\"e*"#,
        r#"cfg.nl:"l1\nl2""#,
        r"cfg.nl:*\n*",
        "cfg.nl:l1*",
        r#"cfg.tab:"a\tb""#,
        "cfg.pl:ąć",
        "cfg.pl:ą*",
        "cfg.pl:*ć*",
        r#"cfg.pl:"\u0105\u0107""#,
        "cfg.obj:*v*",
        "cfg.obj.k:v",
        r#"cfg.obj:"*\"k\": \"v\"*""#,
        r#"cfg.obj:"*k\": \"v*""#,
        r#"cfg.obj.arr:"y z""#,
        r#"cfg.obj.arr:"*y z*""#,
        r#"cfg.obj.arr*:"y*""#,
        r#"cfg.e:"""#,
        "cfg.e:*",
        r#"cfg.path:"C:\\new\\x41""#,
        r"cfg.path:C\:\\new*",
        "cfg.Up:U*",
        "cfg.nullv:null",
        r#"cfg.nullv:"null""#,
        "cfg.nullv:*",
        r"cfg.dot\.key:1",
        r"cfg.sp\ key:v",
        "cfg.big:123456789012345678901234567890",
        "cfg.big:123*",
        "cfg.exp:100000",
        "cfg.exp:100*",
        "cfg.true:true",
        r#"cfg.url:"http://e.com/?a=1&b=%20""#,
        r#"cfg.url:"http://e.com/\?a=1&b=%20""#,
        r"cfg.url:http\:\/\/e.com*",
        "cfg.url:*%20",
        r#"cfg:"*\"v9\": 9*""#,
        "cfg:*v9*",
        "cfg.mark:[uniq TO uniq]",
        "cfg.mark:uni?*",
        "cfg.v9:[9 TO 10]",
        "cfg.v9:[10 TO 9]",
        "config.cfg.v9:9",
        "static.cfg.v9:9",
        r"cfg.pl:?ć",
    ];
    for query in matching {
        assert_eq!(found(&admin, "config", &format!("{query} AND cfg.mark:uniq")).await, 1, "{query}");
        // On its own it is read from another index.
        assert!(found(&admin, "config", query).await >= 1, "{query}");
    }
    let others = [
        "cfg.v9:{9 TO 11}",
        "cfg.v9:[* TO 9}",
        "cfg.f:00.5",
        r"cfg.neg:\-5",
        r#"cfg.neg:"-5""#,
        "cfg.s:[1 TO 20]",
        r#"cfg.s:["1" TO "2"]"#,
        "cfg.lst.a:3",
        r#"cfg.obj.arr:"y*""#,
        "cfg.Up:up",
        "cfg.up:UP",
        "cfg.dot.key:1",
        "cfg.exp:1e5",
        "cfg.url:*_20",
        "cfg:uniq",
        "cfg*:uniq",
        "cfg.*:uniq",
        "cfg.missing:*",
        "cfg.v9.x:9",
    ];
    for query in others {
        assert_eq!(found(&admin, "config", &format!("{query} AND cfg.mark:uniq")).await, 0, "{query}");
        assert_eq!(found(&admin, "config", query).await, 0, "{query}");
    }
}

#[tokio::test]
async fn strings_of_configs_are_compared_as_python_writes_them() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let cfg = json!({
        "path": "C:\\Users\\V", "pl": "ąćę-V", "quotes": "V\"\\\"'ABC", "nul": "\0 \u{1} \u{2}", "cjk": "施也-V",
        "array*with*stars\\*": ["V"], "key\\with\\slashes": "V", "key.with spaces": "V", "key\"with:quote": "V", "key\"with\\\"quotes": "V",
        "array*array": [1, [2, 3]]
    });
    admin.config(json!({"family": "f", "cfg": cfg})).await.ok();
    let matching = [
        r#"config.cfg.path:"C:\\Users\\V""#,
        r#"config.cfg.path:"C:\\U*s\\V""#,
        r#"config.cfg:"*C:\\U*s\\V*""#,
        r#"config.cfg.pl:"ąćę-V""#,
        r#"config.cfg.pl:"ą*ę-V""#,
        r#"config.cfg:"*ą*ę-V*""#,
        r#"config.cfg.pl:"\u0105\u0107\u0119-V""#,
        r#"config.cfg.quotes:"V\"\\\"'ABC""#,
        r#"config.cfg.quotes:"V\"\\\"'A*""#,
        r#"config.cfg:"*V\"\\\"'A*""#,
        r#"config.cfg.nul:"\x00 \x01 \x02""#,
        r#"config.cfg.nul:"\x00*""#,
        r#"config.cfg:"*\x00*""#,
        r#"config.cfg.cjk:"施也-V""#,
        r#"config.cfg.cjk:"施*-V""#,
        r#"config.cfg:"*施*-V*""#,
        r"config.cfg.array\*with\*stars\\\**:V",
        r"config.cfg.key\\with\\slashes:V",
        r"config.cfg.key\.with\ spaces:V",
        r#"config.cfg.key\"with\:quote:V"#,
        r#"config.cfg.key"with\\"quotes:V"#,
        r"config.cfg.array\*array*:1",
        r"config.cfg.array\*array*:2",
        r"config.cfg.array\*array**:2",
    ];
    for query in matching {
        assert_eq!(found(&admin, "object", query).await, 1, "{query}");
        assert_eq!(found(&admin, "object", &format!("NOT {query}")).await, 0, "{query}");
    }
}

#[tokio::test]
async fn attributes_are_found_by_their_json() {
    let server = Server::start().await;
    let admin = server.admin().await;
    define(&admin, "execute", false).await;
    let values = [
        json!("str*ing"),
        json!(5),
        json!(true),
        json!({"a": {"b": ["x", "y z"]}, "n": 1.5}),
        json!(["l1", {"k": "v"}]),
        json!("ąć"),
        json!("a\"b"),
        json!("multi word"),
    ];
    for (number, value) in values.iter().enumerate() {
        let options = json!({"attributes": [{"key": "execute", "value": value}]});
        admin.upload("a", format!("file {number}"), options).await.ok();
    }
    let matching = [
        (r#":"str\*ing""#, 1),
        (":str*", 1),
        (":5", 1),
        (r#":"5""#, 1),
        (":true", 1),
        (".a.b:x", 1),
        (".a.b*:x", 1),
        (r#".a.b:"y z""#, 1),
        (".a:*x*", 1),
        (":*x*", 1),
        ("*:l1", 1),
        (":l1", 1),
        (".k:v", 1),
        ("*.k:v", 1),
        (".n:[1 TO 2]", 1),
        (":ąć", 1),
        (":ą?", 1),
        (":*ć*", 1),
        (r#":"a\"b""#, 1),
        (r#":"multi word""#, 1),
        (":>4", 1),
        (":*", 8),
        (":absent", 0),
        (":str", 0),
        (r":\n", 0),
    ];
    for (rest, expected) in matching {
        for key in ["attribute", "meta", "file.attribute"] {
            assert_eq!(found(&admin, "file", &format!("{key}.execute{rest}")).await, expected, "{key}.execute{rest}");
        }
    }
    for bad in ["attribute.EXECUTE:5", "attribute.execute:(5)", "attribute:5", "meta:a", "attribute.nokey:a", "attribute.execute:[* TO *]"]
    {
        refuse(&admin, "file", bad).await;
    }
    // Once it is gone it is not found.
    let files = admin.get("file?query=attribute.execute:5").await.ok();
    let file = id(&files["files"][0]);
    let attribute = admin.get(&format!("file/{file}/attribute")).await.ok()["attributes"][0]["id"].as_i64().unwrap();
    admin.delete(&format!("file/{file}/attribute/{attribute}")).await.null();
    assert_eq!(found(&admin, "file", "attribute.execute:5").await, 0);
    assert_eq!(found(&admin, "file", "attribute.execute:*").await, 7);
}
