//! A large sample passes through every part without being held by any.

use futures::stream;

use crate::{
    playground::{Playground, tags},
    samples,
};

const MIB: usize = 1024 * 1024;
/// Size of the upload, in MiB.
const SIZE: usize = 1024;
/// What the process may need at most, in MiB; it holds S3 server, broker, classifier, reporter and MWDB.
/// Below the 150 that are promised for each process, so that what grows is seen early.
const LIMIT: u64 = 120;

#[tokio::test]
async fn a_gibibyte_passes_with_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let playground = Playground::start(folder.path()).await;
    let head = [samples::elf(), vec![0; MIB - samples::elf().len()]].concat();
    let pieces = (0..SIZE).map(move |index| Ok::<_, std::io::Error>(if index == 0 { head.clone() } else { vec![0x42; MIB] }));
    let sample = playground.upload("large.elf", reqwest::Body::wrap_stream(stream::iter(pieces))).await;
    assert_eq!(sample["file_size"], SIZE * MIB);
    let object = playground.finished(sample["id"].as_str().unwrap()).await;
    assert_eq!(tags(&object), ["runnable:linux:elf"]);
    let peak = Playground::peak_mib(playground.pid());
    eprintln!("{SIZE} MiB passed; peak memory of the playground: {peak} MiB");
    assert!(peak < LIMIT, "the playground needed {peak} MiB");
}
