//! Building and running the server.
//!
//! The caller owns the signals: [`run`] ends when its token is cancelled, and gives what went wrong
//! instead of exiting.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, anyhow};
use rocket::{
    Build, Data, Request, Response, Rocket,
    fairing::{AdHoc, Fairing, Info, Kind},
};
use tokio_util::sync::CancellationToken;

use crate::{
    accounts, admission, api, claim::Claim, config::Config, content, db::Db, drain::Drain, karton, objects::plugin, state::App, web,
};

/// The server with all its routes, not yet listening.
pub fn build(app: App) -> Rocket<Build> {
    let config = &app.config;
    let mut settings = rocket::Config::release_default();
    settings.address = config.host;
    settings.port = config.port;
    settings.ident = rocket::config::Ident::none();
    settings.log_level = rocket::config::LogLevel::Off;
    settings.cli_colors = false;
    // Anybody can send such headers; `auth::client_address` reads the one that a proxy is known to set.
    settings.ip_header = None;
    if let Some(tls) = &config.tls {
        settings.tls = Some(rocket::config::TlsConfig::from_paths(&tls.certificate, &tls.key));
    }
    settings.temp_dir = config.uploads_folder.clone().into();
    settings.shutdown.ctrlc = false;
    settings.shutdown.signals.clear();
    settings.shutdown.grace = u32::try_from(config.shutdown_grace.as_secs()).unwrap_or(u32::MAX);
    settings.shutdown.mercy = 1;
    let rocket = rocket::custom(settings)
        .attach(api::Strict)
        .attach(admission::metrics())
        .mount("/api", api::routes(&app))
        .register("/api", api::catchers());
    web::mount(rocket, &app).manage(app)
}

/// One line per request, in place of Rocket's own.
struct RequestLog;

#[derive(Clone, Copy)]
struct Start(Instant);

#[rocket::async_trait]
impl Fairing for RequestLog {
    fn info(&self) -> Info {
        Info { name: "request log", kind: Kind::Request | Kind::Response | Kind::Singleton }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        request.local_cache(|| Start(Instant::now()));
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let start = request.local_cache(|| Start(Instant::now()));
        let elapsed = start.0.elapsed();
        // The path only: a query may hold a download token. Tokens in paths are not shown either.
        let path = match request.uri().path().as_str() {
            path if path.starts_with("/api/download/") => "/api/download/...",
            path => path,
        };
        let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let user = crate::auth::known(request).map(|caller| caller.login.clone());
        tracing::debug!(method = %request.method(), path, status = response.status().code, user, milliseconds, "request");
    }
}

/// Runs the server until `shutdown` is cancelled.
///
/// # Errors
/// When something it needs cannot be used, the port above all.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    serve(config, shutdown, move |address| tracing::info!("mwdb-lite listens on {scheme}://{address}")).await
}

/// Like [`run`], and tells the address once requests are answered.
///
/// # Errors
/// As [`run`].
pub async fn serve(config: Config, shutdown: CancellationToken, ready: impl FnOnce(SocketAddr) + Send + 'static) -> anyhow::Result<()> {
    for key in &config.unknown {
        tracing::warn!("{key} means nothing here: it is misspelt, or a setting of MWDB Core that mwdb-lite does without");
    }
    // Before it is opened: that may bring it up to date, which nobody must see who is at work on it.
    let _database = Claim::database(&config.sqlite_path)?;
    let app = App::open(config).await?;
    let _folder = app.store.claim()?.with_context(|| {
        format!(
            "another mwdb-lite serves the uploads folder `{}`: stop it, or set [mwdb] uploads_folder",
            app.config.uploads_folder.display()
        )
    })?;
    try_writing(&app)?;
    app.store.sweep().context("empty the staging folder")?;
    let left = content::put_back(&app.db, &app.store).await.map_err(|error| anyhow!("look at fresh content: {}", error.cause()))?;
    if !left.put_back.is_empty() {
        tracing::warn!("{} files were missing or damaged in the uploads folder and are back from the database", left.put_back.len());
    }
    match app.store.check().await {
        // It may come back; until then uploads and downloads are answered 503.
        Err(content::StoreError::Away(reason)) => tracing::warn!("the store of file content does not answer yet: {reason}"),
        checked => checked.context("open the store of file content")?,
    }
    let caretaker = tokio::spawn(content::look_after(app.clone(), shutdown.clone()));
    let served = CancellationToken::new();
    let securer = tokio::spawn(content::look_after_fresh(app.clone(), left, served.clone()));
    let announcer = tokio::spawn(karton::outbox::run(app.clone(), shutdown.clone()));
    let listening = std::sync::Mutex::new(Some(ready));
    let liftoff = AdHoc::on_liftoff("tell the address", move |rocket| {
        let address = SocketAddr::new(rocket.config().address, rocket.config().port);
        let ready = listening.lock().ok().and_then(|mut ready| ready.take());
        Box::pin(async move {
            if let Some(ready) = ready {
                ready(address);
            }
        })
    });
    let place = format!("{}:{}", app.config.host, app.config.port);
    let drain = Drain::new(app.config.shutdown_grace);
    let rocket =
        build(app).attach(RequestLog).attach(drain).attach(liftoff).ignite().await.map_err(|error| launch_error(&error, &place))?;
    let stop = rocket.shutdown();
    let token = shutdown.clone();
    tokio::spawn(async move {
        token.cancelled().await;
        stop.notify();
    });
    let outcome = rocket.launch().await.map(drop).map_err(|error| launch_error(&error, &place));
    // Also when the server ends by itself.
    shutdown.cancel();
    served.cancel();
    announcer.await.context("the announcer")?;
    caretaker.await.context("the caretaker of content")?;
    securer.await.context("the caretaker of fresh content")?;
    outcome
}

/// Refuses folders that take no uploads, before anybody sends one.
fn try_writing(app: &App) -> anyhow::Result<()> {
    app.store.try_writing().context("[mwdb] uploads_folder must be writable for the account of mwdb-lite")
}

/// Rocket's error panics unless it is looked at.
fn launch_error(error: &rocket::Error, place: &str) -> anyhow::Error {
    anyhow!("the server on {place} failed: {}", error.kind())
}

/// Opens everything for a command that may work beside a server; not if that has another version of the database in
/// use, which would be brought up to date under it.
async fn open_beside(config: Config) -> anyhow::Result<(App, Option<Claim>)> {
    let claim = if Db::is_current(&config.sqlite_path)? { None } else { Some(Claim::database(&config.sqlite_path)?) };
    Ok((App::open(config).await?, claim))
}

/// Makes database, folders and the first account, takes over what an old Karton plugin left, and ends.
///
/// # Errors
/// When something cannot be used.
pub async fn setup(config: Config) -> anyhow::Result<()> {
    let (app, _claim) = open_beside(config).await?;
    try_writing(&app)?;
    let taken = app.db.write(plugin::take_over).await.context("take over what the Karton plugin left")?;
    for value in &taken.skipped {
        tracing::warn!("an attribute `karton` is no analysis and is dropped: {value}");
    }
    if taken.assigned > 0 {
        tracing::info!("{} values of the attribute `karton` are analyses now", taken.assigned);
    }
    if !taken.groups.is_empty() {
        tracing::info!("groups with `karton_manage` have `karton_reanalyze` now: {}", taken.groups.join(", "));
    }
    Ok(())
}

/// Gives the administrator a new password.
///
/// # Errors
/// When the database cannot be used or has no such account.
pub async fn set_admin_password(config: Config, password: String) -> anyhow::Result<()> {
    crate::auth::password::check_new(&password).map_err(|error| anyhow!("{error}"))?;
    let (app, _claim) = open_beside(config).await?;
    let login = app.config.admin_login.clone();
    Ok(app.db.write(move |c| accounts::setup::set_password(c, &login, &password)).await?)
}
