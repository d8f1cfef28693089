//! Serves a folder over S3 until interrupted: `serve FOLDER [ADDRESS]`, key pair `mwdb` / `mwdbmwdb`.
#![allow(clippy::print_stdout)]

use anyhow::Context as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().context("usage: serve FOLDER [ADDRESS]")?;
    let addr = args.next().unwrap_or_else(|| "127.0.0.1:8090".to_owned()).parse()?;
    let server = playground_s3::Server::start(folder.as_ref(), addr, "mwdb", "mwdbmwdb").await?;
    println!("{}", server.url());
    tokio::signal::ctrl_c().await?;
    server.stop().await;
    Ok(())
}
