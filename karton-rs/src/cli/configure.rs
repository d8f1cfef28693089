//! `karton configure`: asks for the servers, tries them, writes `karton.ini`.
//!
//! The one rule: a wrong answer is asked for again, and costs none that was right.

use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::{Context, Outcome, Usage, output::Out};
use crate::{Config, backend::Backend};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Replace an existing file
    #[arg(short, long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let target = context.config_file.clone().unwrap_or_else(|| PathBuf::from("karton.ini"));
    if target.is_dir() {
        return Err(Usage(format!("{} is a folder: name the file to write in it", target.display())).into());
    }
    ensure!(args.force || !target.exists(), "{} exists already; --force replaces it", target.display());
    // Before anything is asked: answers that cannot be written down are lost.
    try_to_write(&target).with_context(|| format!("cannot write {}: name another file with `-c FILE`", target.display()))?;
    let mut out = Out::of_deeds();
    let s3 = loop {
        let s3 = [
            ("access_key", ask(context, "S3 access key", "minioadmin").await?),
            ("secret_key", ask(context, "S3 secret key", "minioadmin").await?),
            ("address", ask(context, "S3 address", "http://localhost:9000").await?),
            ("bucket", ask(context, "S3 bucket", "karton").await?),
        ];
        let tried = match backend(&s3, &[("host", "localhost".to_owned())]) {
            Ok(backend) => backend.storage().check_bucket(false).await.map_err(Into::into),
            Err(error) => Err(error),
        };
        match tried {
            Ok(true) => break s3,
            Ok(false) => {
                out.line(format!("The bucket does not exist yet; `{}` creates it.", context.commands.system(&["--setup-bucket"])))?;
                out.flush()?;
                break s3;
            }
            Err(error) if again(context, &mut out, &error.to_string()).await? => {}
            Err(error) => return Err(error),
        }
    };
    let redis = loop {
        let mut redis = vec![("host", ask(context, "Redis host", "localhost").await?), ("port", ask(context, "Redis port", "6379").await?)];
        let password = ask(context, "Redis password (empty for none)", "").await?;
        if !password.is_empty() {
            redis.push(("password", password));
        }
        let tried = match backend(&s3, &redis) {
            Ok(backend) => backend.ping().await.map_err(Into::into),
            Err(error) => Err(error),
        };
        match tried {
            Ok(()) => break redis,
            Err(error) if again(context, &mut out, &error.to_string()).await? => {}
            Err(error) => return Err(error),
        }
    };
    write(&target, &s3, &redis).with_context(|| format!("cannot write {}", target.display()))?;
    out.line(format!("Wrote {}", target.display()))?;
    out.flush()?;
    Ok(Outcome::Done)
}

/// Makes the folder, if there is none, and leaves the file as it is.
fn try_to_write(target: &Path) -> std::io::Result<()> {
    if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let there = target.exists();
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(target)?;
    if there { Ok(()) } else { std::fs::remove_file(target) }
}

type Options = [(&'static str, String)];

fn backend(s3: &Options, redis: &Options) -> anyhow::Result<Backend> {
    let mut config = Config::from_parts(&[("answers", "[redis]\nhost = localhost\n[s3]\naddress = http://localhost\n")], [])?;
    for (section, options) in [("s3", s3), ("redis", redis)] {
        for (option, value) in options {
            config.set(section, option, value);
        }
    }
    Ok(Backend::new(&config, super::IDENTITY, "")?)
}

/// For this user alone, since it holds keys and passwords. A `%` is doubled, because it refers to other options otherwise.
fn write(target: &PathBuf, s3: &Options, redis: &Options) -> Result<(), std::io::Error> {
    let mut ini = ini::Ini::new();
    for (section, options) in [("s3", s3), ("redis", redis)] {
        for (option, value) in options {
            ini.set_to(Some(section), (*option).to_owned(), value.replace('%', "%%"));
        }
    }
    // Nobody else's to read before anything stands in it, also where there was a file already.
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(target)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    ini.write_to_policy(&mut file, ini::EscapePolicy::Nothing)
}

async fn ask(context: &Context, question: &str, default: &str) -> anyhow::Result<String> {
    let shown = if default.is_empty() { format!("{question}: ") } else { format!("{question} [{default}]: ") };
    let answer = context.ask(&shown).await?.context("no answer: run it in a terminal")?;
    Ok(if answer.is_empty() { default.to_owned() } else { answer })
}

async fn again(context: &Context, out: &mut Out, problem: &str) -> anyhow::Result<bool> {
    out.line(problem)?;
    out.flush()?;
    Ok(matches!(ask(context, "Try again?", "yes").await?.as_str(), "yes" | "y"))
}
