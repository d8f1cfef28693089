use std::time::{Duration, Instant};

use aws_sdk_s3::types::EncodingType;

use crate::harness::{Bed, failure};

#[tokio::test]
async fn pages_cover_a_bucket_once_in_each_kind_of_listing() {
    let bed = Bed::start().await;
    let keys: Vec<_> = (0..25).map(|n| format!("k{n:02}")).collect();
    for key in &keys {
        bed.put(key, key.as_bytes()).await;
    }
    let mut v2 = Vec::new();
    let mut pages = bed.s3.list_objects_v2().bucket("box").max_keys(10).into_paginator().send();
    while let Some(page) = pages.next().await {
        v2.extend(page.unwrap().contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(v2, keys);

    let (mut v1, mut marker) = (Vec::new(), String::new());
    loop {
        let page = bed.s3.list_objects().bucket("box").max_keys(10).marker(&marker).send().await.unwrap();
        v1.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        match page.next_marker() {
            Some(next) => next.clone_into(&mut marker),
            None => break,
        }
    }
    assert_eq!(v1, keys);

    let (mut versions, mut marker) = (Vec::new(), String::new());
    loop {
        let page = bed.s3.list_object_versions().bucket("box").max_keys(10).key_marker(&marker).send().await.unwrap();
        assert!(page.delete_markers().is_empty());
        for version in page.versions() {
            assert_eq!((version.version_id(), version.is_latest(), version.size()), (Some("null"), Some(true), Some(3)));
            versions.push(version.key().unwrap().to_owned());
        }
        match page.next_key_marker() {
            Some(next) => next.clone_into(&mut marker),
            None => break,
        }
    }
    assert_eq!(versions, keys);
}

#[tokio::test]
async fn delimiters_fold_keys_and_encoding_is_applied_when_asked_for() {
    let bed = Bed::start().await;
    for key in ["a b/1", "a b/2", "c+d", "żółć"] {
        bed.put(key, b"x").await;
    }
    let plain = bed.s3.list_objects_v2().bucket("box").delimiter("/").send().await.unwrap();
    assert_eq!(plain.common_prefixes()[0].prefix(), Some("a b/"));
    assert_eq!(plain.contents().iter().map(|object| object.key().unwrap()).collect::<Vec<_>>(), ["c+d", "żółć"]);
    let encoded = bed.s3.list_objects_v2().bucket("box").delimiter("/").encoding_type(EncodingType::Url).send().await.unwrap();
    assert_eq!(encoded.common_prefixes()[0].prefix(), Some("a%20b/"));
    assert_eq!(encoded.contents()[0].key(), Some("c%2Bd"));
    let narrowed = bed.s3.list_objects_v2().bucket("box").prefix("a b/").start_after("a b/1").send().await.unwrap();
    assert_eq!(narrowed.contents().len(), 1);
    assert_eq!(narrowed.contents()[0].e_tag(), Some("\"9dd4e461268c8034f5c8564e155c67a6\""));
}

#[tokio::test]
async fn a_false_token_is_refused() {
    let bed = Bed::start().await;
    let answer = bed.s3.list_objects_v2().bucket("box").continuation_token("*").send().await;
    assert_eq!(failure(answer).0, 400);
}

/// A page must cost the page, not the bucket: with 20,000 objects a walk per page takes over ten seconds in all.
#[tokio::test]
async fn twenty_thousand_objects_are_listed_in_pages_quickly() {
    let mut bed = Bed::start().await;
    bed.put("seed", b"x").await;
    bed.server.stop().await;
    let folder = bed.folder.path().join("box");
    for n in 0..20_000 {
        std::fs::hard_link(folder.join("seed"), folder.join(format!("k{n:05}"))).unwrap();
    }
    let started = Instant::now();
    bed.server = crate::harness::start(bed.folder.path()).await;
    assert!(started.elapsed() < Duration::from_secs(2), "start took {:?}", started.elapsed());
    bed.s3 = crate::harness::client(&bed.server.url(), "mwdb", "mwdbmwdb");
    let started = Instant::now();
    let mut pages = bed.s3.list_objects_v2().bucket("box").into_paginator().send();
    let mut n_keys = 0;
    while let Some(page) = pages.next().await {
        n_keys += page.unwrap().contents().len();
    }
    assert_eq!(n_keys, 20_001);
    eprintln!("listed 20,001 objects in {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(8), "listing took {:?}", started.elapsed());
}
