use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, Delete, ObjectIdentifier};

use crate::harness::{Bed, client, failure};

#[tokio::test]
async fn an_object_comes_back_with_what_was_said_about_it() {
    let bed = Bed::start().await;
    let put = bed.s3.put_object().bucket("box").key("dir/a b+c").body(ByteStream::from_static(b"hello"));
    let put = put.content_type("text/plain").metadata("origin", "test").send().await.unwrap();
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    let got = bed.s3.get_object().bucket("box").key("dir/a b+c").send().await.unwrap();
    assert_eq!((got.content_length(), got.content_type(), got.content_range()), (Some(5), Some("text/plain"), None));
    assert_eq!(got.metadata().unwrap()["origin"], "test");
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
    let head = bed.s3.head_object().bucket("box").key("dir/a b+c").send().await.unwrap();
    assert_eq!((head.content_length(), head.e_tag()), (Some(5), put.e_tag()));
}

#[tokio::test]
async fn an_empty_object_is_an_object() {
    let bed = Bed::start().await;
    bed.put("empty", b"").await;
    assert_eq!(bed.get("empty").await, b"");
}

#[tokio::test]
async fn ranges_give_a_part_and_nothing_beyond_the_end() {
    let bed = Bed::start().await;
    bed.put("r", b"0123456789").await;
    for (range, content, shown) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
    ] {
        let got = bed.s3.get_object().bucket("box").key("r").range(range).send().await.unwrap();
        assert_eq!(got.content_range(), Some(shown));
        assert_eq!(got.body.collect().await.unwrap().to_vec(), content.as_bytes());
    }
    let beyond = bed.s3.get_object().bucket("box").key("r").range("bytes=10-").send().await;
    assert_eq!(failure(beyond), (416, "InvalidRange".to_owned()));
}

#[tokio::test]
async fn missing_things_are_404_by_name() {
    let bed = Bed::start().await;
    let key = bed.s3.get_object().bucket("box").key("nothing").send().await;
    assert_eq!(failure(key), (404, "NoSuchKey".to_owned()));
    let bucket = bed.s3.get_object().bucket("nowhere").key("nothing").send().await;
    assert_eq!(failure(bucket), (404, "NoSuchBucket".to_owned()));
    assert_eq!(failure(bed.s3.head_bucket().bucket("nowhere").send().await).0, 404);
    let put = bed.s3.put_object().bucket("nowhere").key("k").body(ByteStream::from_static(b"x")).send().await;
    assert_eq!(failure(put), (404, "NoSuchBucket".to_owned()));
}

#[tokio::test]
async fn buckets_are_made_once_and_removed_when_empty() {
    let bed = Bed::start().await;
    bed.s3.create_bucket().bucket("second").send().await.unwrap();
    let again = bed.s3.create_bucket().bucket("second").send().await;
    assert_eq!(failure(again), (409, "BucketAlreadyOwnedByYou".to_owned()));
    bed.s3.head_bucket().bucket("second").send().await.unwrap();
    let listed = bed.s3.list_buckets().send().await.unwrap();
    let names: Vec<_> = listed.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, ["box", "second"]);
    bed.put("k", b"x").await;
    assert_eq!(failure(bed.s3.delete_bucket().bucket("box").send().await), (409, "BucketNotEmpty".to_owned()));
    bed.s3.delete_bucket().bucket("second").send().await.unwrap();
    assert_eq!(failure(bed.s3.head_bucket().bucket("second").send().await).0, 404);
}

#[tokio::test]
async fn deleting_is_repeatable_and_several_go_at_once() {
    let bed = Bed::start().await;
    for key in ["a", "b", "c"] {
        bed.put(key, b"x").await;
    }
    for _ in 0..2 {
        bed.s3.delete_object().bucket("box").key("a").send().await.unwrap();
    }
    let ids = [("b", None), ("c", Some("null")), ("gone", None), ("x", Some("7"))]
        .map(|(key, version)| ObjectIdentifier::builder().key(key).set_version_id(version.map(str::to_owned)).build().unwrap());
    let delete = Delete::builder().set_objects(Some(ids.to_vec())).build().unwrap();
    let answer = bed.s3.delete_objects().bucket("box").delete(delete).send().await.unwrap();
    let deleted: Vec<_> = answer.deleted().iter().filter_map(|deleted| deleted.key()).collect();
    assert_eq!(deleted, ["b", "c", "gone"]);
    assert_eq!(answer.errors()[0].code(), Some("NoSuchVersion"));
    assert!(bed.s3.list_objects_v2().bucket("box").send().await.unwrap().contents().is_empty());
}

#[tokio::test]
async fn keys_that_lead_elsewhere_are_refused() {
    let bed = Bed::start().await;
    for key in ["..", "../x", "a/../../x", "a/./b", "..%2Fx/.."] {
        let put = bed.s3.put_object().bucket("box").key(key).body(ByteStream::from_static(b"x")).send().await;
        assert_eq!(failure(put).0, 400, "{key}");
        assert_eq!(failure(bed.s3.get_object().bucket("box").key(key).send().await).0, 400, "{key}");
    }
    let copy = bed.s3.copy_object().bucket("box").key("copy").copy_source("../etc/passwd").send().await;
    assert_eq!(failure(copy).0, 400);
    for key in ["a..b", "x/y/z", "%2e%2e", &"long/".repeat(200)] {
        bed.put(key, key.as_bytes()).await;
        assert_eq!(bed.get(key).await, key.as_bytes());
    }
    assert!(!bed.folder.path().join("x").exists());
}

#[tokio::test]
async fn wrong_keys_are_403() {
    let bed = Bed::start().await;
    for (access, secret, code) in [("mwdb", "wrong", "SignatureDoesNotMatch"), ("someone", "mwdbmwdb", "InvalidAccessKeyId")] {
        let s3 = client(&bed.server.url(), access, secret);
        assert_eq!(failure(s3.list_objects_v2().bucket("box").send().await), (403, code.to_owned()));
        let put = s3.put_object().bucket("box").key("k").body(ByteStream::from_static(b"x")).send().await;
        assert_eq!(failure(put).0, 403);
    }
    assert!(bed.s3.list_objects_v2().bucket("box").send().await.unwrap().contents().is_empty());
}

#[tokio::test]
async fn a_body_that_differs_from_its_digest_changes_nothing() {
    let bed = Bed::start().await;
    bed.put("k", b"old").await;
    let put = || bed.s3.put_object().bucket("box").key("k").body(ByteStream::from_static(b"new"));
    let md5 = put().content_md5("XUFAKrxLKna5cZ2REBfFkg==").send().await;
    assert_eq!(failure(md5), (400, "BadDigest".to_owned()));
    let crc = put().checksum_crc32("AAAAAA==").send().await;
    assert_eq!(failure(crc), (400, "BadDigest".to_owned()));
    assert_eq!(bed.get("k").await, b"old");
}

#[tokio::test]
async fn checksums_are_kept_and_shown_to_those_who_ask() {
    let bed = Bed::start().await;
    for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32C, ChecksumAlgorithm::Sha1, ChecksumAlgorithm::Sha256] {
        let put = bed.s3.put_object().bucket("box").key("k").body(ByteStream::from_static(b"hello"));
        put.checksum_algorithm(algorithm).send().await.unwrap();
    }
    let head = bed.s3.head_object().bucket("box").key("k").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(head.checksum_sha256(), Some("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="));
    assert_eq!(bed.s3.head_object().bucket("box").key("k").send().await.unwrap().checksum_sha256(), None);
}

#[tokio::test]
async fn conditions_are_kept() {
    let bed = Bed::start().await;
    bed.put("k", b"hello").await;
    let etag = "\"5d41402abc4b2a76b9719d911017c592\"";
    let get = || bed.s3.get_object().bucket("box").key("k");
    assert_eq!(failure(get().if_none_match(etag).send().await).0, 304);
    assert_eq!(failure(get().if_match("\"other\"").send().await).0, 412);
    get().if_match(etag).send().await.unwrap();
    let modified = *get().send().await.unwrap().last_modified().unwrap();
    assert_eq!(failure(get().if_modified_since(modified).send().await).0, 304);
    get().if_modified_since(DateTime::from_secs(modified.secs() - 10)).send().await.unwrap();
    let put = || bed.s3.put_object().bucket("box").key("k").body(ByteStream::from_static(b"new"));
    assert_eq!(failure(put().if_none_match("*").send().await).0, 412);
    assert_eq!(failure(put().if_match("\"other\"").send().await).0, 412);
    put().if_match(etag).send().await.unwrap();
    assert_eq!(bed.get("k").await, b"new");
}

#[tokio::test]
async fn copies_keep_content_and_record_and_may_replace_themselves() {
    let bed = Bed::start().await;
    let put = bed.s3.put_object().bucket("box").key("from").body(ByteStream::from_static(b"hello"));
    put.metadata("a", "b").send().await.unwrap();
    for key in ["to", "from"] {
        bed.s3.copy_object().bucket("box").key(key).copy_source("box/from").send().await.unwrap();
        let got = bed.s3.get_object().bucket("box").key(key).send().await.unwrap();
        assert_eq!(got.metadata().unwrap()["a"], "b");
        assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
    }
}

#[tokio::test]
async fn versions_other_than_null_do_not_exist() {
    let bed = Bed::start().await;
    bed.put("k", b"hello").await;
    bed.s3.get_object().bucket("box").key("k").version_id("null").send().await.unwrap();
    assert_eq!(failure(bed.s3.get_object().bucket("box").key("k").version_id("1").send().await).0, 404);
    assert!(bed.s3.get_bucket_versioning().bucket("box").send().await.unwrap().status().is_none());
}
