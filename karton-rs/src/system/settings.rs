//! The options of the broker: `[system]` and the flags of `karton-system`. See Karton protocol §12.1.

use std::time::Duration;

use crate::{
    config::{Config, ConfigError, ConfigErrorKind},
    service::ServiceArgs,
};

/// What `[system]` says.
///
/// ```
/// use karton_rs::{Config, system::SystemSettings};
///
/// let config = Config::from_parts(&[("karton.ini", "[redis]\nhost = h\n[s3]\naddress = http://s3\n[system]\ngc_interval = 10\n")], [])?;
/// assert_eq!(SystemSettings::from_config(&config)?.gc_interval.as_secs(), 10);
/// # Ok::<(), karton_rs::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SystemSettings {
    /// Time between two collections.
    pub gc_interval: Duration,
    /// Age after which an unrouted task that is in no queue is deleted.
    pub task_dispatched_timeout: Duration,
    /// Age after which a started task is deleted or crashed.
    pub task_started_timeout: Duration,
    /// Age after which a crashed task is deleted.
    pub task_crashed_timeout: Duration,
    /// Whether this process collects.
    pub enable_gc: bool,
    /// Whether this process routes.
    pub enable_router: bool,
    /// Whether started tasks that time out are kept as crashed.
    pub crash_started_tasks_on_timeout: bool,
    /// Whether objects without a version are deleted by the version `null`.
    pub enable_null_version_deletion: bool,
    /// Whether the headers that services send are recorded for the service graph.
    pub enable_task_tracking: bool,
    /// How long recorded headers are kept.
    pub task_tracking_ttl: Duration,
    /// Ours: time between two looks for claims of consumers that are gone.
    pub sweep_interval: Duration,
    /// Ours: how long a claim lasts that is not renewed, as `[karton] lease_timeout` says to the services.
    pub lease_timeout: Duration,
    /// Ours: how long a task must look lost by a consumer that is not ours before it is queued again.
    pub orphan_grace: Duration,
    /// Ours: how often a task is handed out before it counts as the cause of what happens to its consumers.
    pub max_deliveries: u64,
    /// Ours: how long it is known what happened in an analysis; 0: not at all.
    pub history_ttl: Duration,
    /// Ours: of how many analyses that is known; the oldest go first.
    pub history_limit: u64,
}

impl SystemSettings {
    /// Reads `[system]`.
    ///
    /// # Errors
    /// When a number or boolean is none; the message names it.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let seconds = |option: &str, default: u64| match config.int("system", option)? {
            None => Ok(Duration::from_secs(default)),
            Some(value) => u64::try_from(value).map(Duration::from_secs).map_err(|_| {
                ConfigError::new(
                    ConfigErrorKind::BadInteger,
                    format!("{}: {value} is not a number of seconds", config.place("system", option)),
                )
            }),
        };
        let switch = |option: &str, default: bool| Ok(config.bool("system", option)?.unwrap_or(default));
        Ok(Self {
            gc_interval: seconds("gc_interval", 180)?,
            task_dispatched_timeout: seconds("task_dispatched_timeout", 86_400)?,
            task_started_timeout: seconds("task_started_timeout", 86_400)?,
            task_crashed_timeout: seconds("task_crashed_timeout", 259_200)?,
            enable_gc: switch("enable_gc", true)?,
            enable_router: switch("enable_router", true)?,
            crash_started_tasks_on_timeout: switch("crash_started_tasks_on_timeout", false)?,
            enable_null_version_deletion: switch("enable_null_version_deletion", false)?,
            enable_task_tracking: switch("enable_task_tracking", true)?,
            task_tracking_ttl: seconds("task_tracking_ttl", 2_592_000)?,
            sweep_interval: seconds("sweep_interval", 10)?.max(Duration::from_secs(1)),
            lease_timeout: crate::consumer::lease_timeout(config)?,
            orphan_grace: seconds("orphan_grace", 60)?.max(Duration::from_secs(1)),
            max_deliveries: crate::consumer::max_deliveries(config)?,
            history_ttl: seconds("history_ttl", 604_800)?,
            history_limit: seconds("history_limit", 100_000)?.as_secs(),
        })
    }

    pub(super) fn keeps_history(&self) -> bool {
        !self.history_ttl.is_zero() && self.history_limit > 0
    }
}

/// The flags of `karton-system`.
///
/// ```
/// use clap::Parser;
/// use karton_rs::system::SystemArgs;
///
/// #[derive(Parser)]
/// struct Args {
///     #[command(flatten)]
///     system: SystemArgs,
/// }
///
/// assert!(Args::parse_from(["karton-system", "--disable-gc"]).system.disable_gc);
/// ```
#[derive(Debug, Clone, Default, clap::Args)]
#[non_exhaustive]
pub struct SystemArgs {
    /// The flags of every service.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Create the default bucket when it is missing
    #[arg(long)]
    pub setup_bucket: bool,
    /// Do not collect finished tasks and unused objects
    #[arg(long)]
    pub disable_gc: bool,
    /// Do not route tasks
    #[arg(long)]
    pub disable_router: bool,
    /// Time between two collections, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub gc_interval: Option<u64>,
    /// Delete unrouted tasks that are in no queue after this time
    #[arg(long, value_name = "SECONDS")]
    pub task_dispatched_timeout: Option<u64>,
    /// Delete started tasks after this time
    #[arg(long, value_name = "SECONDS")]
    pub task_started_timeout: Option<u64>,
    /// Delete crashed tasks after this time
    #[arg(long, value_name = "SECONDS")]
    pub task_crashed_timeout: Option<u64>,
    /// Keep started tasks that time out, as crashed
    #[arg(long)]
    pub crash_started_task_on_timeout: bool,
}

impl SystemArgs {
    /// Loads the configuration and applies the flags over it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut config = self.service.config()?;
        self.apply(&mut config);
        Ok(config)
    }

    /// Applies the flags that only the broker has.
    pub fn apply(&self, config: &mut Config) {
        if self.disable_gc {
            config.set_by_flag("--disable-gc", "system", "enable_gc", "0");
        }
        if self.disable_router {
            config.set_by_flag("--disable-router", "system", "enable_router", "0");
        }
        if self.crash_started_task_on_timeout {
            config.set_by_flag("--crash-started-task-on-timeout", "system", "crash_started_tasks_on_timeout", "1");
        }
        let numbers = [
            ("gc_interval", self.gc_interval),
            ("task_dispatched_timeout", self.task_dispatched_timeout),
            ("task_started_timeout", self.task_started_timeout),
            ("task_crashed_timeout", self.task_crashed_timeout),
        ];
        for (option, value) in numbers {
            if let Some(value) = value {
                config.set_by_flag(&format!("--{}", option.replace('_', "-")), "system", option, value.to_string());
            }
        }
    }
}
