//! Samples are made by attackers: nothing may panic, run long or eat memory.

use std::time::{Duration, Instant};

use classifier::{
    classify::classify,
    magic::{Detection, Fallback, detect, with_libmagic},
    zip::{Directory, ZipError, has_end_record},
};
use proptest::prelude::*;

use crate::vectors::{file, file_names};

/// Everything that is done with a content, libmagic included.
fn probe(name: &str, content: &[u8]) {
    with_libmagic(|libmagic| {
        let detection = detect(libmagic, content, Fallback::default());
        let _ = classify(name, content, &detection);
    })
    .unwrap();
    classifier::probe(content);
}

#[derive(Clone, Debug)]
enum Mutation {
    Truncate(prop::sample::Index),
    Behead(prop::sample::Index),
    Set(prop::sample::Index, u8),
    Fill(prop::sample::Index, u8, u8),
    Double,
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let one = prop_oneof![
        1 => any::<prop::sample::Index>().prop_map(Mutation::Truncate),
        1 => any::<prop::sample::Index>().prop_map(Mutation::Behead),
        6 => any::<(prop::sample::Index, u8)>().prop_map(|(at, value)| Mutation::Set(at, value)),
        2 => any::<(prop::sample::Index, u8, u8)>().prop_map(|(at, length, value)| Mutation::Fill(at, length, value)),
        1 => Just(Mutation::Double),
    ];
    prop::collection::vec(one, 1..6)
}

fn apply(content: &mut Vec<u8>, mutation: &Mutation) {
    if content.is_empty() {
        return;
    }
    match mutation {
        Mutation::Truncate(at) => content.truncate(at.index(content.len())),
        Mutation::Behead(at) => {
            content.drain(..at.index(content.len()));
        }
        Mutation::Set(at, value) => {
            let at = at.index(content.len());
            content[at] = *value;
        }
        Mutation::Fill(at, length, value) => {
            let from = at.index(content.len());
            let to = (from + usize::from(*length)).min(content.len());
            content[from..to].fill(*value);
        }
        Mutation::Double => content.extend_from_within(..),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic(index in any::<prop::sample::Index>(), mutations in mutations()) {
        let names = file_names();
        let name = &names[index.index(names.len())];
        let mut content = file(name);
        for mutation in &mutations {
            apply(&mut content, mutation);
        }
        probe(name, &content);
    }

    #[test]
    fn random_files_never_panic(name in ".{0,12}", content in prop::collection::vec(any::<u8>(), 0..6000)) {
        probe(&name, &content);
    }

    /// Fields near the end of an archive are where lengths and offsets live.
    #[test]
    fn damaged_zip_directories_never_panic(which in 0..4_usize, from_end in 0..400_usize, values in prop::collection::vec(any::<u8>(), 1..9)) {
        let mut content = file(["zip-plain.bin", "zip-prefixed-junk.bin", "zip-android.bin", "ooxml-generic-docx.bin"][which]);
        let at = content.len().saturating_sub(from_end);
        for (offset, value) in values.iter().enumerate() {
            if let Some(byte) = content.get_mut(at + offset) {
                *byte = *value;
            }
        }
        probe("x", &content);
    }
}

#[test]
fn every_prefix_of_an_archive_is_survived() {
    let content = file("zip-plain.bin");
    for length in 0..content.len() {
        let _ = Directory::open(&content[..length]);
        let _ = has_end_record(&content[..length]);
    }
}

/// An archive whose directory consists of `entries` times the same entry.
fn archive(entry_name: &[u8], entries: usize) -> Vec<u8> {
    let mut entry = b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0".to_vec();
    entry.resize(46, 0);
    entry[28..30].copy_from_slice(&u16::try_from(entry_name.len()).unwrap().to_le_bytes());
    entry.extend_from_slice(entry_name);
    let mut content = entry.repeat(entries);
    let length = u32::try_from(content.len()).unwrap();
    content.extend_from_slice(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff");
    content.extend_from_slice(&length.to_le_bytes());
    content.extend_from_slice(&[0; 6]);
    content
}

#[test]
fn a_huge_directory_is_refused_in_bounded_time() {
    let started = Instant::now();
    let many = archive(b"", 700_000);
    assert_eq!(Directory::open(&many).unwrap_err(), ZipError::TooLarge);
    let long = archive(&vec![b'a'; 60_000], 600);
    assert_eq!(Directory::open(&long).unwrap_err(), ZipError::TooLarge);

    // Just below the bounds, with every test that reads the directory.
    let allowed = archive(b"a.txt", 499_999);
    assert_eq!(Directory::open(&allowed).unwrap().names().count(), 499_999);
    let detection = Detection { magic: "Zip archive data".to_owned(), ..Detection::default() };
    assert_eq!(classify("x", &allowed, &detection).class.unwrap().rule, "arch-magic-zip");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// A zip64 record that announces more than there is, or wraps around.
#[test]
fn announced_lengths_are_not_believed() {
    for announced in [u64::MAX, u64::MAX - 97, 1 << 63, u64::from(u32::MAX), 1 << 20] {
        let mut content = vec![0; 200];
        content.extend_from_slice(b"PK\x06\x06");
        content.extend_from_slice(&[0; 36]);
        content.extend_from_slice(&announced.to_le_bytes());
        content.extend_from_slice(&[0; 8]);
        content.extend_from_slice(b"PK\x06\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0");
        content.extend_from_slice(b"PK\x05\x06");
        content.extend_from_slice(&[0; 18]);
        let error = Directory::open(&content).unwrap_err();
        assert!(matches!(error, ZipError::TooLarge | ZipError::BadOffset), "{announced}: {error}");
    }
}
