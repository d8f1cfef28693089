//! An S3 server on a folder, small enough to live inside another process.
//!
//! It serves one key pair and path-style addresses, and speaks what Karton, MWDB and their
//! Python clients need, listing of versions included. Buckets are folders and objects are files
//! in them; `GET /.health` answers anybody. The one rule to know is that the folder belongs to the server while it runs:
//! what exists is kept in memory, so a file put there by hand is seen at the next start.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let addr = "127.0.0.1:0".parse()?;
//! let server = playground_s3::Server::start("data/s3".as_ref(), addr, "mwdb", "mwdbmwdb").await?;
//! server.ensure_bucket("karton").await?;
//! println!("listening on {}", server.url());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```

mod auth;
mod conditions;
mod http;
mod ingest;
mod list;
mod ops;
mod store;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use store::Store;

/// A running server. Dropping it stops it at once; [`Server::stop`] lets requests finish.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    store: Arc<Store>,
    shutdown: CancellationToken,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Opens the folder (made when missing) and listens on `addr`; port 0 takes a free one.
    ///
    /// Fails when another server has the folder or the port.
    pub async fn start(root: &Path, addr: SocketAddr, access_key: &str, secret_key: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))?;
        Self::serve(root, listener, access_key, secret_key).await
    }

    /// Like [`Server::start`], on a socket that listens already.
    pub async fn serve(root: &Path, listener: TcpListener, access_key: &str, secret_key: &str) -> anyhow::Result<Self> {
        let addr = listener.local_addr().context("listening socket has no address")?;
        let folder = root.to_owned();
        let store = tokio::task::spawn_blocking(move || Store::open(&folder))
            .await
            .context("opening the folder was interrupted")?
            .with_context(|| format!("cannot open the S3 folder `{}`", root.display()))?;
        let store = Arc::new(store);
        let mut builder = S3ServiceBuilder::new(ops::Folder::new(Arc::clone(&store)));
        builder.set_auth(auth::KeyPair::new(access_key, secret_key));
        let shutdown = CancellationToken::new();
        let accepting = tokio::spawn(http::serve(listener, builder.build(), shutdown.clone()));
        Ok(Self { addr, store, shutdown, accepting: Some(accepting) })
    }

    /// The address the server listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The endpoint URL for clients, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Makes the bucket unless it exists.
    pub async fn ensure_bucket(&self, name: &str) -> anyhow::Result<()> {
        anyhow::ensure!(s3s::path::check_bucket_name(name), "`{name}` is not a bucket name");
        let store = Arc::clone(&self.store);
        let bucket = name.to_owned();
        tokio::task::spawn_blocking(move || store.ensure_bucket(&bucket))
            .await
            .context("making the bucket was interrupted")?
            .with_context(|| format!("cannot make the bucket `{name}`"))?;
        Ok(())
    }

    /// Stops listening, lets running requests finish for a few seconds, then ends them.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(accepting) = self.accepting.take()
            && let Err(error) = accepting.await
        {
            tracing::error!(%error, "the S3 server ended badly");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
        // Ends the accept loop, and with it all connections: they live in its task set.
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}
