//! Sending everything to another MWDB through its public API.
//!
//! Files first, then blobs, then configs (which may refer to blobs), then the relations between them. The
//! one rule: every step may be repeated without harm, so what a crash cut short is simply sent again;
//! the state file only saves the time of sending all of it again.

mod item;
mod state;
mod target;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use futures::{StreamExt, stream};
use reporter::mwdb::{Client, Credentials, Problem, Settings};
use rusqlite::Connection;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Capability,
    config::Config,
    content::Store,
    db::{
        objects,
        upkeep::{self, Known},
    },
    objects::Kind,
    progress::Progress,
};
use item::Item;
use state::State;
use target::Target;

/// Rows that are read at once.
const PAGE: u32 = 200;

/// What is sent where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address of the other MWDB, with or without `/api`.
    pub url: String,
    /// Key of the account there.
    pub api_key: String,
    /// Where it is noted how far a push has come.
    pub state: PathBuf,
    /// Go over everything again, also what was sent.
    pub restart: bool,
    /// Change nothing, tell what would be sent.
    pub dry_run: bool,
    /// Objects that are on their way at once.
    pub jobs: usize,
    /// Whether the certificate of the other MWDB is checked.
    pub verify_ssl: bool,
}

/// What was sent.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Nothing was sent: the numbers tell what would be.
    pub dry_run: bool,
    /// Files.
    pub files: u64,
    /// Blobs.
    pub blobs: u64,
    /// Configs.
    pub configs: u64,
    /// Relations.
    pub relations: u64,
    /// What the account there may not do or the server there does not know, and was left out.
    pub notes: Vec<String>,
    /// Hashes with the reason why they could not be sent. They are tried again by the next push.
    pub failed: Vec<Failure>,
    /// The push was told to stop before its end.
    pub stopped: bool,
}

/// An object or relation that could not be sent.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// Hash of the object, or of parent and child.
    pub subject: String,
    /// Why.
    pub reason: String,
}

impl Report {
    /// Whether everything is at the other MWDB.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && !self.stopped
    }
}

/// Sends what is not sent yet.
///
/// # Errors
/// When the other MWDB cannot be used, or our own data or the state file cannot be read.
pub async fn run(config: &Config, options: &Options, stop: CancellationToken) -> anyhow::Result<Report> {
    let c = upkeep::open(&config.sqlite_path, false)?;
    let store = Arc::new(Store::open(config).await?);
    let url = api_url(&options.url);
    let mut settings = Settings::new(&url, Credentials::api_key(&options.api_key)).context("the address or the key of the other MWDB")?;
    settings.verify_ssl = options.verify_ssl;
    // Somebody waits to hear whether the address is right; later a server that is away is waited for.
    let mut first = settings.clone();
    first.patience.wait_for_server = false;
    first.patience.retries = 1;
    let meeting = Client::new(first, stop.clone())?;
    let target = Target::meet(&meeting, &c, options.dry_run).await.map_err(|error| {
        let untrusted = options.verify_ssl && format!("{error:#}").contains("certificate");
        let error = if untrusted { error.context("--no-verify-ssl accepts any certificate") } else { error };
        error.context(format!("the MWDB at {url}"))
    })?;
    let client = Client::new(settings, stop.clone())?;
    let mut push = Push {
        state: State::load(&options.state, &url, options.restart)?,
        report: Report { dry_run: options.dry_run, notes: target.notes.clone(), ..Report::default() },
        jobs: options.jobs.max(1),
        c,
        store,
        client,
        target: Arc::new(target),
        stop,
    };
    if options.dry_run {
        push.count()?;
        return Ok(push.report);
    }
    let outcome = push.everything().await;
    push.state.save()?;
    outcome?;
    push.report.stopped = push.stop.is_cancelled();
    push.report.notes.extend(push.target.refusals());
    Ok(push.report)
}

fn api_url(url: &str) -> String {
    let base = url.trim_end_matches('/');
    if base.ends_with("/api") { format!("{base}/") } else { format!("{base}/api/") }
}

struct Push {
    c: Connection,
    store: Arc<Store>,
    client: Client,
    target: Arc<Target>,
    state: State,
    report: Report,
    jobs: usize,
    stop: CancellationToken,
}

/// In this order: a config refers to blobs.
const KINDS: [Kind; 3] = [Kind::File, Kind::Blob, Kind::Config];

/// What an account must hold to add an object.
fn adding(kind: Kind) -> Capability {
    match kind {
        Kind::File => Capability::AddingFiles,
        Kind::Blob => Capability::AddingBlobs,
        Kind::Config => Capability::AddingConfigs,
    }
}

impl Push {
    fn counter(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::File => &mut self.report.files,
            Kind::Blob => &mut self.report.blobs,
            Kind::Config => &mut self.report.configs,
        }
    }

    /// What would be sent. What the account there may not add is in the notes.
    fn count(&mut self) -> anyhow::Result<()> {
        let target = Arc::clone(&self.target);
        for kind in KINDS.into_iter().filter(|kind| target.may(adding(*kind))) {
            let mut after = self.state.after(kind);
            loop {
                let page = upkeep::objects(&self.c, kind, after, PAGE)?;
                let Some(last) = page.last() else { break };
                after = last.id;
                *self.counter(kind) += page.len() as u64;
            }
        }
        if !self.target.may(Capability::AddingParents) {
            return Ok(());
        }
        let mut after = self.state.relations();
        loop {
            let page = upkeep::links(&self.c, after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            self.report.relations += page.len() as u64;
        }
    }

    async fn everything(&mut self) -> anyhow::Result<()> {
        let (links, hashes): (Vec<_>, Vec<_>) = self.state.failed().into_iter().partition(|subject| subject.contains(' '));
        self.failed_objects(hashes).await?;
        for kind in KINDS {
            self.objects(kind).await?;
        }
        // Once everything is there that they may relate.
        self.failed_links(links).await?;
        self.relations().await
    }

    /// Another try at objects that could not be sent the last time.
    async fn failed_objects(&mut self, hashes: Vec<String>) -> anyhow::Result<()> {
        let mut known = Vec::new();
        for subject in hashes {
            match objects::by_dhash(&self.c, &subject)? {
                Some(object) => known.push((subject, object)),
                // Deleted meanwhile.
                None => self.state.succeeded(&subject),
            }
        }
        known.sort_by_key(|(_, object)| KINDS.iter().position(|kind| *kind == object.kind));
        for (subject, object) in known {
            if self.stop.is_cancelled() {
                return Ok(());
            }
            let known = Known { id: object.id, dhash: object.dhash };
            let sent = match Item::read(&self.c, object.kind, &known) {
                Ok(item) => item.send(&self.client, &self.store, &self.target).await,
                Err(error) => Err(error.into()),
            };
            if self.note(&subject, sent)? {
                *self.counter(object.kind) += 1;
            }
        }
        Ok(())
    }

    /// The same for relations.
    async fn failed_links(&mut self, links: Vec<String>) -> anyhow::Result<()> {
        for subject in links {
            if self.stop.is_cancelled() {
                return Ok(());
            }
            let (parent, child) = subject.split_once(' ').unwrap_or_default();
            if !upkeep::are_related(&self.c, parent, child)? {
                // Deleted meanwhile.
                self.state.succeeded(&subject);
                continue;
            }
            let linked = self.client.add_child(parent, child).await;
            if self.note(&subject, linked.map_err(anyhow::Error::from))? {
                self.report.relations += 1;
            }
        }
        Ok(())
    }

    async fn objects(&mut self, kind: Kind) -> anyhow::Result<()> {
        let progress = Progress::of(kind.name(), upkeep::count(&self.c, kind)?);
        loop {
            let page = upkeep::objects(&self.c, kind, self.state.after(kind), PAGE)?;
            if page.is_empty() || self.stop.is_cancelled() {
                return Ok(());
            }
            let mut items = Vec::with_capacity(page.len());
            // Read as they are sent: a page of blobs may be large.
            for chunk in page.chunks(self.jobs) {
                for known in chunk {
                    items.push((known.clone(), Item::read(&self.c, kind, known)));
                }
                let sent = stream::iter(items.drain(..)).map(|(known, item)| async {
                    let sent = match item {
                        Ok(item) => Some(item.send(&self.client, &self.store, &self.target).await),
                        // Deleted meanwhile.
                        Err(rusqlite::Error::QueryReturnedNoRows) => None,
                        Err(error) => Some(Err(error.into())),
                    };
                    (known, sent)
                });
                let sent: Vec<_> = sent.buffered(self.jobs).collect().await;
                for (known, sent) in sent {
                    if let Some(sent) = sent
                        && self.note(&known.dhash, sent)?
                    {
                        *self.counter(kind) += 1;
                    }
                    if self.stop.is_cancelled() {
                        return Ok(());
                    }
                    self.state.came_to(kind, known.id)?;
                    progress.step();
                }
            }
        }
    }

    async fn relations(&mut self) -> anyhow::Result<()> {
        let progress = Progress::of("relations", upkeep::count_links(&self.c)?);
        loop {
            let page = upkeep::links(&self.c, self.state.relations(), PAGE)?;
            if page.is_empty() || self.stop.is_cancelled() {
                return Ok(());
            }
            let client = &self.client;
            let sent = stream::iter(page).map(|link| async move { (client.add_child(&link.parent, &link.child).await, link) });
            let sent: Vec<_> = sent.buffered(self.jobs).collect().await;
            for (sent, link) in sent {
                if self.note(&format!("{} {}", link.parent, link.child), sent.map_err(anyhow::Error::from))? {
                    self.report.relations += 1;
                }
                if self.stop.is_cancelled() {
                    return Ok(());
                }
                self.state.relation(link.id)?;
                progress.step();
            }
        }
    }

    /// Takes an outcome down; tells whether it was a success. What ends the whole push is an error.
    fn note(&mut self, subject: &str, outcome: anyhow::Result<()>) -> anyhow::Result<bool> {
        let Err(error) = outcome else {
            self.state.succeeded(subject);
            return Ok(true);
        };
        match error.downcast_ref::<reporter::mwdb::Error>().map(reporter::mwdb::Error::problem) {
            // Not the fault of this object: nothing after it would go through.
            Some(Problem::NotAuthenticated(_) | Problem::EndpointNotFound(_)) => return Err(error),
            Some(Problem::Stopped) => {
                self.stop.cancel();
                return Ok(false);
            }
            _ => {}
        }
        let reason = format!("{error:#}");
        tracing::warn!("{subject} could not be sent: {reason}");
        self.state.failure(subject, &reason);
        self.report.failed.push(Failure { subject: subject.to_owned(), reason });
        Ok(false)
    }
}
