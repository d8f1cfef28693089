//! What every handler can reach.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rusqlite::Connection;

use crate::{
    accounts::{self, setup},
    auth::{Caller, Capability, tokens::Tokens},
    captcha::Captcha,
    config::Config,
    content::{Magic, Store},
    db::Db,
    deprecated::Feature,
    error::{ApiError, ApiResult},
    karton::Link,
    limits::{Failures, Windows},
    mail::Mailer,
    metrics::Metrics,
    objects::access,
    per_account::PerAccount,
};

/// The server's state; cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) db: Db,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) store: Arc<Store>,
    pub(crate) magic: Magic,
    pub(crate) karton: Link,
    pub(crate) limits: Arc<Windows>,
    pub(crate) failed_logins: Arc<Failures>,
    /// Guesses of who belongs to which mail address. They cost nothing, so they have a table of their own.
    pub(crate) failed_recoveries: Arc<Failures>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) mailer: Arc<Mailer>,
    /// Mails that somebody asked for who is not logged in.
    pub(crate) asked_mails: Arc<Failures>,
    pub(crate) captcha: Arc<Captcha>,
    /// Searches that run for somebody.
    searches: PerAccount,
    /// Lists that are made for somebody.
    lists: PerAccount,
    /// Zips that are made for somebody.
    pub(crate) zips: PerAccount,
}

/// So many mails anybody may have sent to one account in some minutes.
const MOST_MAILS: u32 = 5;
/// Of the searches that run at a time one account has at most so many: the other half is left to everybody else.
const SEARCHES_EACH: usize = 2;
/// The same of lists without a query, which take turns with all that is quick.
const LISTS_EACH: usize = 4;
/// Zips that are made at a time for one account: each takes a thread.
const ZIPS_EACH: usize = 8;
/// How long a search or list waits for the others of its account.
const WAIT_FOR_OWN: Duration = Duration::from_secs(5);

impl App {
    /// Opens database and storage, and makes the first account on an empty database.
    ///
    /// # Errors
    /// When the database, the uploads folder or Karton's configuration cannot be used.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        let db = Db::open(&config.sqlite_path, config.longest_query())?;
        let (login, password) = (config.admin_login.clone(), config.admin_password.clone());
        let first = db.write(move |c| setup::first_account(c, &login, password.as_deref())).await.context("make the first account")?;
        if let Some(password) = first {
            // The only time it is shown; nobody else has a way in.
            tracing::warn!("first start: the account `{}` has the password {password}", config.admin_login);
        }
        let secret_key = match &config.secret_key {
            Some(key) => key.clone(),
            None => db.write(setup::secret_key).await.context("make the key of tokens")?,
        };
        let store = Store::open(&config).await.with_context(|| format!("open the uploads folder `{}`", config.uploads_folder.display()))?;
        let karton = Link::new(&config)?;
        Ok(Self {
            tokens: Arc::new(Tokens::new(&secret_key, &config.base_url)),
            store: Arc::new(store),
            magic: Magic::start()?,
            karton,
            db,
            limits: Arc::new(Windows::new(config.rate_limits.clone())),
            failed_logins: Arc::new(Failures::new(config.max_failed_logins)),
            failed_recoveries: Arc::new(Failures::new(config.max_failed_logins)),
            metrics: Arc::default(),
            mailer: Arc::new(Mailer::new(&config)?),
            asked_mails: Arc::new(Failures::new(MOST_MAILS)),
            captcha: Arc::new(Captcha::new(&config)?),
            searches: PerAccount::new(SEARCHES_EACH),
            lists: PerAccount::new(LISTS_EACH),
            zips: PerAccount::new(ZIPS_EACH),
            config: Arc::new(config),
        })
    }

    /// Serves a request that names objects and changes nothing. For callers whose accesses share
    /// (MWDB API §U7.4), what was not found is looked for again in a transaction that may write.
    pub(crate) async fn look<T, F>(&self, caller: &Arc<Caller>, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Caller) -> ApiResult<T> + Clone + Send + 'static,
    {
        let again = work.clone();
        let reader = Arc::clone(caller);
        match self.db.read(move |c| work(c, &reader)).await {
            Err(ApiError::NotFound(_)) if caller.has(Capability::ShareQueriedObjects) => self.change(caller, again).await,
            outcome => outcome,
        }
    }

    /// Counts the use of something deprecated, and refuses it in a brownout.
    pub(crate) fn use_deprecated(&self, feature: Feature, endpoint: &str, method: &str, user: Option<&str>) -> ApiResult<()> {
        if self.config.enable_prometheus_metrics {
            self.metrics.deprecated(feature, endpoint, method, user);
        }
        if self.config.enable_brownout {
            return Err(ApiError::BadRequest(format!("This is deprecated and switched off here: {}", feature.name())));
        }
        Ok(())
    }

    /// The row of the object that a page of a list comes after. Naming it is an access like any other
    /// (MWDB API §A1.3).
    pub(crate) async fn row(&self, caller: &Arc<Caller>, hash: Option<String>) -> ApiResult<Option<i64>> {
        let Some(hash) = hash else { return Ok(None) };
        self.look(caller, move |c, caller| Ok(Some(access::find(c, caller, None, &hash)?.id))).await
    }

    /// The caller as of now, for what goes on for long.
    ///
    /// # Errors
    /// 401 and 403 when what the request rests on is gone.
    pub(crate) async fn again(&self, caller: &Arc<Caller>) -> ApiResult<Arc<Caller>> {
        let caller = Arc::clone(caller);
        self.db.read(move |c| accounts::again(c, &caller).map(Arc::new)).await
    }

    /// Serves a request that searches: bounded in time and in how many run for one account, and without a second try
    /// that may write.
    pub(crate) async fn search<T, F>(&self, caller: &Arc<Caller>, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Caller) -> ApiResult<T> + Send + 'static,
    {
        let _place = self.searches.wait(caller.id, WAIT_FOR_OWN, "Too many of your searches are running").await?;
        let caller = Arc::clone(caller);
        self.db.search(move |c| work(c, &accounts::again(c, &caller)?)).await
    }

    /// Serves a list or a count: a search, unless there is no query. Nobody waits for searches of others then.
    pub(crate) async fn list<T, F>(&self, caller: &Arc<Caller>, query: &str, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Caller) -> ApiResult<T> + Send + 'static,
    {
        if !query.is_empty() {
            return self.search(caller, work).await;
        }
        let _place = self.lists.wait(caller.id, WAIT_FOR_OWN, "Too many of your lists are being made").await?;
        let caller = Arc::clone(caller);
        self.db.list(move |c| work(c, &accounts::again(c, &caller)?)).await
    }

    /// Serves a request that changes something, in one transaction, with the rights that the caller has then.
    pub(crate) async fn change<T, F>(&self, caller: &Arc<Caller>, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Caller) -> ApiResult<T> + Send + 'static,
    {
        let caller = Arc::clone(caller);
        self.db.write(move |c| work(c, &accounts::again(c, &caller)?)).await
    }
}
