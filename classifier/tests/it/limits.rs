//! Large and hostile files cost little: each is classified by the program under limits of the system, which end it
//! when it breaks them.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use classifier::{
    content::{Content, Need},
    magic::{Fallback, LibMagic, detect},
};
use karton_rs::Task;

use crate::{
    bed::Bed,
    vectors::{file, file_names},
};

/// Memory of its own that the program may have, in KiB.
const MEMORY: u32 = 64 << 10;
/// Seconds of CPU. Without optimisation everything takes longer.
const SECONDS: u32 = if cfg!(debug_assertions) { 3 } else { 1 };
const GIB: u64 = 1 << 30;

/// Files that were made to cost much, in a folder.
struct Corpus {
    folder: tempfile::TempDir,
    /// With the tag that each must get, where it is of interest.
    files: Vec<(PathBuf, Option<&'static str>)>,
}

impl Corpus {
    fn add(&mut self, name: &str, tag: Option<&'static str>, content: &[u8]) {
        self.add_sparse(name, tag, content.len() as u64, &[(0, content)]);
    }

    /// A file of this size with these parts, and holes elsewhere.
    fn add_sparse(&mut self, name: &str, tag: Option<&'static str>, size: u64, parts: &[(u64, &[u8])]) {
        let path = self.folder.path().join(name);
        let file = File::create(&path).unwrap();
        file.set_len(size).unwrap();
        for (offset, bytes) in parts {
            file.write_all_at(bytes, *offset).unwrap();
        }
        self.files.push((path, tag));
    }
}

/// Runs the program on files, all of them within the limits for one; gives the lines that it prints.
fn classify<P: AsRef<Path>>(paths: &[P]) -> String {
    let limited = format!("ulimit -c 0; ulimit -d {MEMORY}; ulimit -t {SECONDS}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_karton-classifier"), "classify"]);
    let output = command.args(paths.iter().map(AsRef::as_ref)).output().unwrap();
    assert!(output.status.success(), "{}: {output:?}", paths[0].as_ref().display());
    String::from_utf8(output.stdout).unwrap()
}

/// How much of mapped bytes is in memory, in KiB.
fn resident(bytes: &[u8]) -> u32 {
    let address = bytes.as_ptr() as usize;
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in maps.lines() {
        let hex = |text| usize::from_str_radix(text, 16).ok();
        let range = line.split(' ').next().and_then(|range| range.split_once('-')).and_then(|(from, to)| Some((hex(from)?, hex(to)?)));
        if let Some((from, to)) = range {
            inside = (from..to).contains(&address);
        } else if let Some(size) = line.strip_prefix("Rss:").filter(|_| inside) {
            return size.trim().trim_end_matches(" kB").parse().unwrap();
        }
    }
    panic!("the bytes are not mapped");
}

/// Entries of a central directory and the end record, for data of which nothing is there.
fn zip_end(name: &[u8], entries: u32, size: u32) -> Vec<u8> {
    let mut entry = b"PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0".to_vec();
    entry.resize(46, 0);
    entry[20..24].copy_from_slice(&10_u32.to_le_bytes());
    entry[24..28].copy_from_slice(&size.to_le_bytes());
    entry[28..30].copy_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
    entry.extend_from_slice(name);
    let mut content = entry.repeat(entries as usize);
    let length = u32::try_from(content.len()).unwrap();
    content.extend_from_slice(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff");
    content.extend_from_slice(&length.to_le_bytes());
    content.extend_from_slice(&[0; 6]);
    content
}

fn add_archives(corpus: &mut Corpus) {
    let local = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\x0a\0\0\0\xff\xff\xff\xff\x01\0\0\0a";
    let bomb = zip_end(b"a", 60_000, u32::MAX - 1);
    corpus.add("bomb.bin", Some("archive:zip"), &[&local[..], &bomb].concat());
    corpus.add("directory-only", None, &zip_end(&vec![b'n'; 60_000], 550, 1));
    corpus.add("many-entries", None, &zip_end(b"", 690_000, 1));
    // The directory is longer than the end that is read at once.
    let long = zip_end(b"word/a-long-name-that-nobody-needs.xml", 20_000, 1);
    let size = 4 * GIB;
    corpus.add_sparse("large-zip", Some("archive:zip"), size, &[(0, local), (size - long.len() as u64, &long)]);
    let android = zip_end(b"AndroidManifest.xml", 20_000, 1);
    corpus.add_sparse("large-apk", Some("runnable:android:apk"), size, &[(0, local), (size - android.len() as u64, &android)]);
    let plain = file("zip-plain.bin");
    for cut in [plain.len() / 3, plain.len() / 2, plain.len() - 10] {
        corpus.add(&format!("zip-cut-{cut}"), None, &plain[..cut]);
    }
    for name in ["arc-7z", "arc-rar5", "arc-gz", "arc-xz", "arc-tar-ustar", "arc-cab", "arc-iso", "arc-zst", "dmg-koly"] {
        let whole = file(&format!("{name}.bin"));
        corpus.add(&format!("{name}-cut"), None, &whole[..whole.len() * 2 / 3]);
        corpus.add_sparse(&format!("{name}-large"), None, size, &[(0, &whole), (size - 1, b"x")]);
    }
}

fn add_programs(corpus: &mut Corpus) {
    let pe = file("pe-gui32.bin");
    corpus.add_sparse("padded-pe", Some("runnable:win32:exe"), 4 * GIB, &[(0, &pe)]);
    corpus.add_sparse("overlay-pe", Some("runnable:win32:exe"), 4 * GIB, &[(0, &pe), (4 * GIB - 4, b"tail")]);
    for pointer in [0, 1, 0x3c, 0xffff, 0x7fff_fff0, u32::MAX] {
        let mut damaged = pe.clone();
        damaged[0x3c..0x40].copy_from_slice(&pointer.to_le_bytes());
        corpus.add(&format!("pe-pointer-{pointer:x}"), None, &damaged);
    }
    let mut elf = file("elf-linux.bin");
    // Counts of program and section headers, and where they are.
    elf[0x38..0x40].fill(0xff);
    corpus.add("elf-headers", None, &elf);
    elf.resize(40 << 20, 0x01);
    corpus.add("elf-many-headers", None, &elf);
    let mut fat = b"\xCA\xFE\xBA\xBE\0\0\0\x1e".to_vec();
    fat.resize(60 << 20, 0xCA);
    corpus.add("macho-fat", None, &fat);
    corpus.add("mz-text", None, &[b"MZ".as_slice(), &vec![0xff; 60 << 20]].concat());
}

fn add_documents(corpus: &mut Corpus) {
    let word = file("cfb-word.bin");
    // Every sector follows itself, or another one, or none.
    for (name, fill) in [("zero", 0_u32), ("one", 1), ("end", 0xffff_fffe), ("free", 0xffff_ffff)] {
        let mut damaged = word[..512].to_vec();
        damaged.extend(fill.to_le_bytes().repeat((20 << 20) / 4));
        corpus.add(&format!("cfb-{name}"), None, &damaged);
        let mut chained = word.clone();
        chained[512..1024].copy_from_slice(&fill.to_le_bytes().repeat(128));
        corpus.add(&format!("cfb-chain-{name}"), None, &chained);
    }
    corpus.add("cfb-cut", None, &word[..word.len() / 2]);
    corpus.add_sparse("cfb-large", None, GIB, &[(0, &word), (GIB - 1, b"x")]);
    corpus.add("json-deep", None, &vec![b'['; 30 << 20]);
    corpus.add("json-long", Some("misc:json"), &[b"[".as_slice(), &b"1,".repeat(4 << 20), b"1]"].concat());
    corpus.add("json-larger", None, &[b"[".as_slice(), &b"\"abc def\",".repeat(6 << 20), b"1]"].concat());
    corpus.add("blank-lines", Some("misc:ascii"), &vec![b'\n'; 60 << 20]);
    corpus.add("one-line", Some("misc:ascii"), &vec![b'a'; 60 << 20]);
    corpus.add("commas", None, &b"a,b,".repeat(15 << 20));
    corpus.add_sparse("nothing", None, 4 * GIB, &[]);
}

#[test]
fn large_and_hostile_files_take_a_second_and_little_memory() {
    let mut corpus = Corpus { folder: tempfile::tempdir().unwrap(), files: Vec::new() };
    add_archives(&mut corpus);
    add_programs(&mut corpus);
    add_documents(&mut corpus);
    assert!(corpus.files.len() > 50);
    let libmagic = LibMagic::open().unwrap();
    for (path, tag) in &corpus.files {
        let line = classify(&[path]);
        // Of a large file also the pages count that were only looked at.
        if fs::metadata(path).unwrap().len() > 30 << 20 {
            let content = Content::open(path).unwrap();
            let detection = detect(&libmagic, content.unpadded(), Fallback::default());
            let _ = classifier::classify::classify("sample", &content, &detection);
            let resident = resident(&content);
            assert!(resident <= MEMORY, "{}: {resident} KiB", path.display());
        }
        if let Some(tag) = tag {
            assert_eq!(line.split('\t').nth(1), Some(*tag), "{line}");
        }
        fs::remove_file(path).unwrap();
    }
}

/// Archives, documents and programs that end too early, or with numbers in them that mean nothing.
#[test]
fn hundreds_of_broken_files_take_together_what_one_may_take() {
    const FORMATS: [&str; 8] = ["zip-", "jar-", "ooxml-", "cfb-", "msi-", "pe-", "arc-", "dmg-"];
    let mut corpus = Corpus { folder: tempfile::tempdir().unwrap(), files: Vec::new() };
    for name in file_names().iter().filter(|name| FORMATS.iter().any(|format| name.starts_with(format))) {
        let whole = file(name);
        for eighth in 1..8 {
            corpus.add(&format!("{name}-cut-{eighth}"), None, &whole[..whole.len() * eighth / 8]);
        }
        for fill in [0x00, 0x01, 0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged.iter_mut().skip(8).step_by(61).for_each(|byte| *byte = fill);
            corpus.add(&format!("{name}-damaged-{fill:x}"), None, &damaged);
        }
    }
    let paths: Vec<&PathBuf> = corpus.files.iter().map(|(path, _)| path).collect();
    assert!(paths.len() > 400, "{}", paths.len());
    assert_eq!(classify(&paths).lines().count(), paths.len());
}

/// The files without holes above the size from which on parts are seen: what is said about them is what is said about
/// all of them.
#[test]
fn parts_of_a_file_are_described_as_all_of_it() {
    let libmagic = LibMagic::open().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in
        ["pe-gui32", "zip-android", "arc-7z", "rtf-doc", "text-plain", "img-png", "pdf-one", "heur-vbs", "cfb-word", "elf-linux", "arc-iso"]
    {
        let mut content = file(&format!("{name}.bin"));
        content.extend(b"filling\n".repeat(7 << 20));
        content.extend(file("zip-plain.bin"));
        let path = folder.path().join(name);
        fs::write(&path, &content).unwrap();
        let opened = Content::open(&path).unwrap();
        assert_eq!(opened.len(), content.len());
        assert_eq!(detect(&libmagic, opened.unpadded(), Fallback::default()), detect(&libmagic, &content, Fallback::default()), "{name}");
        assert!(*opened.whole().unwrap() == *content, "{name}");
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_large_sample_only_parts_are_fetched() {
    let mut bed = Bed::start().await;
    let mut content = file("pe-gui32.bin");
    content.resize(50 << 20, b'x');
    bed.start_classifier().await;
    let sent = bed.send("big", content.clone(), |_| {}).await;
    let sample = sent.resource("sample").unwrap();

    let parts = Content::fetch(&bed.karton, &sample, Need::Parts).await.unwrap();
    assert_eq!(parts.len(), content.len());
    assert_eq!(parts[..8 << 20], content[..8 << 20]);
    assert_eq!(parts[parts.len() - 4096..], content[content.len() - 4096..]);
    assert!(parts.whole().unwrap()[20 << 20..21 << 20].iter().all(|byte| *byte == 0), "the middle was not fetched");

    // The server knows the size when the task does not.
    for claimed in [None, Some(5)] {
        let mut claims = sample.clone();
        claims.size = claimed;
        let parts = Content::fetch(&bed.karton, &claims, Need::Parts).await.unwrap();
        assert_eq!(parts.len(), content.len());
        assert_eq!(parts[parts.len() - 4096..], content[content.len() - 4096..]);
        assert!(parts.whole().unwrap()[20 << 20..21 << 20].iter().all(|byte| *byte == 0), "the middle was not fetched");
    }

    let whole = Content::fetch(&bed.karton, &sample, Need::Whole).await.unwrap();
    assert!(*whole.whole().unwrap() == *content);
    assert_eq!(whole.sha256().unwrap(), crate::tasks::sha256(&content));

    // A wrong size is noticed.
    for wrong in [49 << 20, 51 << 20] {
        let mut claimed = sample.clone();
        claimed.size = Some(wrong);
        let content = Content::fetch(&bed.karton, &claimed, Need::Parts).await.unwrap();
        assert_eq!(content.len(), parts.len());
    }

    let answer: Task = bed.answer().await;
    assert_eq!(answer.payload_as::<Vec<String>>("tags").unwrap().unwrap(), ["runnable:win32:exe"]);
}
