//! MWDB Core as its own instructions run it: `PostgreSQL`, and gunicorn with two workers.
//!
//! `scripts/setup core` installs both. The one rule: it is a black box that is asked through
//! its commands and its API.

use std::os::unix::{fs::chown, process::CommandExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::{Plan, bed::Bed, folder, process::Process};

/// Whether the reference can be run; says why not.
#[expect(clippy::print_stderr, reason = "beside the table, which shows no figure of it")]
pub(super) fn is_there(plan: &Plan) -> bool {
    let why = match (&plan.mwdb_python, programs()) {
        (None, _) => "without --mwdb-python or MWDB_PEERS_PYTHON there is no MWDB Core to compare with".to_owned(),
        (Some(python), _) if !python.with_file_name("gunicorn").is_file() => {
            format!("there is no MWDB Core beside `{}`: scripts/setup core installs it", python.display())
        }
        (_, Err(error)) => format!("MWDB Core cannot run: {error:#}"),
        _ => return true,
    };
    eprintln!("{why}");
    false
}

/// The folder with `PostgreSQL`'s programs, which Debian keeps out of the path.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = versions.chain(std::env::split_paths(&path)).collect();
    let found = folders.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file());
    found.context("there is no PostgreSQL: install the package `postgresql`")
}

/// A database server that ends with this value.
pub(super) struct Postgres {
    pub(super) port: u16,
    process: Process,
    account: Account,
    programs: PathBuf,
    data: PathBuf,
}

/// Who `PostgreSQL` runs as: it refuses to be root.
#[derive(Clone, Copy)]
struct Account(Option<(u32, u32)>);

impl Account {
    fn find() -> anyhow::Result<Self> {
        let id = |arguments: &[&str]| -> anyhow::Result<u32> {
            let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().context("cannot run `id`")?;
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            text.parse().with_context(|| format!("`id {}` printed `{text}`", arguments.join(" ")))
        };
        if id(&["-u"])? != 0 {
            return Ok(Self(None));
        }
        let other = (id(&["-u", "postgres"]), id(&["-g", "postgres"]));
        let (Ok(user), Ok(group)) = other else { anyhow::bail!("PostgreSQL needs an account `postgres` when the bench runs as root") };
        Ok(Self(Some((user, group))))
    }

    fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Postgres {
    fn start(bed: &Bed) -> anyhow::Result<Self> {
        let (programs, account) = (programs()?, Account::find()?);
        // Not below the folder of the bed, which nobody else may enter.
        let folder = folder::empty()?;
        if let Account(Some((user, group))) = account {
            chown(&folder, Some(user), Some(group)).context("cannot give PostgreSQL its folder")?;
        }
        let data = folder.join("data");
        let mut init = account.command(&programs.join("initdb"));
        init.args(["--username", "mwdb", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--pgdata"]).arg(&data);
        let made = init.current_dir(&folder).stdin(Stdio::null()).output().context("cannot run initdb")?;
        anyhow::ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());
        let port = super::server::free_port()?;
        let mut command = account.command(&programs.join("postgres"));
        command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"]).arg(&folder);
        let process = Process::start_in(command, &folder, bed.folder())?;
        Ok(Self { port, process, account, programs, data })
    }

    pub(super) fn cpu(&self) -> anyhow::Result<f64> {
        Ok(self.process.usage_of_all()?.cpu)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The processes of its connections end with it only when it is told to end.
        let mut stop = self.account.command(&self.programs.join("pg_ctl"));
        stop.args(["stop", "-m", "immediate", "-D"]).arg(&self.data);
        let _ = stop.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The settings of one server.
pub(super) struct Reference {
    python: PathBuf,
    folder: PathBuf,
    settings: Vec<(&'static str, String)>,
    pub(super) postgres: Postgres,
}

impl Reference {
    /// An empty database, configured.
    pub(super) async fn prepare(plan: &Plan, bed: &Bed, port: u16, karton: bool) -> anyhow::Result<Self> {
        let python = plan.mwdb_python.clone().context("no interpreter")?;
        let postgres = Postgres::start(bed)?;
        let folder = bed.folder().to_owned();
        let uploads = folder.join("uploads");
        std::fs::create_dir_all(&uploads)?;
        let text = |text: &str| text.to_owned();
        let settings = vec![
            ("MWDB_POSTGRES_URI", format!("postgresql://mwdb@127.0.0.1:{}/postgres", postgres.port)),
            ("MWDB_REDIS_URI", format!("redis://127.0.0.1:{}/", bed.redis_port())),
            ("MWDB_ADMIN_LOGIN", text("admin")),
            ("MWDB_ADMIN_PASSWORD", text(super::client::PASSWORD)),
            ("MWDB_ADMIN_EMAIL", text("admin@mwdb.example")),
            ("MWDB_SECRET_KEY", text("bench")),
            ("MWDB_BASE_URL", format!("http://127.0.0.1:{port}")),
            ("MWDB_INSTANCE_NAME", text("bench")),
            ("MWDB_UPLOADS_FOLDER", uploads.to_string_lossy().into_owned()),
            ("MWDB_STORAGE_PROVIDER", text("disk")),
            ("MWDB_HASH_PATHING", text("1")),
            ("MWDB_ENABLE_KARTON", text(if karton { "1" } else { "0" })),
            ("MWDB_KARTON_CONFIG_PATH", bed.ini()),
        ];
        let reference = Self { python, folder, settings, postgres };
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let mut configure = reference.command("mwdb-core");
            configure.args(["configure", "--quiet", "basic"]).current_dir(&reference.folder).stdin(Stdio::null());
            let output = configure.output().context("cannot run mwdb-core")?;
            if output.status.success() {
                return Ok(reference);
            }
            // PostgreSQL may not be ready yet.
            anyhow::ensure!(Instant::now() < deadline, "mwdb-core configure failed: {}", last_line(&output.stderr));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.python.with_file_name(program));
        command.envs(self.settings.iter().map(|(name, value)| (*name, value))).env("HOME", &self.folder);
        command
    }

    pub(super) fn start(&self, port: u16) -> anyhow::Result<Process> {
        let mut command = self.command("gunicorn");
        // A large upload takes longer than the usual half minute of patience.
        command.args(["--workers", "2", "--timeout", "600", "--bind", &format!("127.0.0.1:{port}"), "mwdb.app:app"]);
        Process::start(command, &self.folder)
    }
}

fn last_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim().lines().last().unwrap_or_default().to_owned()
}
