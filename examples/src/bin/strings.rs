//! Extracts printable strings from recognized samples; in MWDB they become a child of the sample.
//!
//! `cargo run -p examples --bin strings -- --config-file playground-data/karton.ini`

use clap::Parser;
use karton_rs::{Consumer, ConsumerArgs, Karton, LocalResource, Task, service::run_main};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};

const MOST_BYTES: usize = 16 * 1024 * 1024;

#[derive(Parser)]
#[command(version, about = "Extracts printable strings from recognized samples")]
struct Args {
    #[command(flatten)]
    consumer: ConsumerArgs,
}

fn main() -> std::process::ExitCode {
    run_main(Args::parse().consumer.config(), |config, shutdown| async move {
        let filters = json!([{"type": "sample", "stage": "recognized"}]);
        Ok(Consumer::new("karton.strings").version("1.0.0").filters(filters).process(process).run(&config, shutdown).await.map(drop)?)
    })
}

async fn process(karton: Karton, task: Task) -> anyhow::Result<()> {
    let sample = task.resource("sample")?;
    let found = tempfile::NamedTempFile::new()?;
    if extract(karton.open(&sample).await?, tokio::fs::File::create(found.path()).await?).await? > 0 {
        let mut analyzed = Task::new(json!({"type": "sample", "stage": "analyzed"}));
        analyzed.set_payload("parent", sample.to_value());
        analyzed.attach("sample", LocalResource::from_path("string", found.path()).await?);
        karton.send_task(analyzed).await?;
    }
    Ok(())
}

/// Writes runs of four or more printable characters line by line; gives how many bytes that made.
async fn extract(mut sample: impl AsyncRead + Unpin, found: impl AsyncWrite + Unpin) -> std::io::Result<usize> {
    let (mut found, mut written) = (BufWriter::new(found), 0);
    let (mut chunk, mut run, mut read) = (vec![0; 64 * 1024], Vec::new(), 1);
    while read > 0 && written < MOST_BYTES {
        read = sample.read(&mut chunk).await?;
        // The end of the file ends a run as any other byte does; a run that grows too long is cut.
        for &byte in if read > 0 { &chunk[..read] } else { b"\n" } {
            let printable = matches!(byte, b' '..=b'~');
            run.extend(Some(byte).filter(|_| printable));
            if !printable || run.len() == 4096 {
                if run.len() > 3 {
                    run.push(b'\n');
                    found.write_all(&run).await?;
                    written += run.len();
                }
                run.clear();
            }
        }
    }
    found.flush().await.map(|()| written)
}
