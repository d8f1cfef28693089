//! `karton configure`: asks for the servers, tries them, writes `karton.ini`.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use super::{Context, Outcome, output::Out};
use crate::{Config, backend::Backend};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Replace an existing file
    #[arg(short, long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let target = context.config_file.clone().unwrap_or_else(|| PathBuf::from("karton.ini"));
    ensure!(args.force || !target.exists(), "{} exists already; --force replaces it", target.display());
    let mut out = Out::of_deeds();
    let s3 = loop {
        let s3 = [
            ("access_key", ask(context, "S3 access key", "minioadmin").await?),
            ("secret_key", ask(context, "S3 secret key", "minioadmin").await?),
            ("address", ask(context, "S3 address", "http://localhost:9000").await?),
            ("bucket", ask(context, "S3 bucket", "karton").await?),
        ];
        let backend = backend(&s3, &[("host", "localhost".to_owned())])?;
        match backend.storage().check_bucket(false).await {
            Ok(true) => break s3,
            Ok(false) => {
                out.line(format!("The bucket does not exist yet; `{}` creates it.", context.commands.system(&["--setup-bucket"])))?;
                out.flush()?;
                break s3;
            }
            Err(error) if error.is_temporary() && again(context, &mut out, &error.to_string()).await? => {}
            Err(error) => return Err(error.into()),
        }
    };
    let redis = loop {
        let mut redis = vec![("host", ask(context, "Redis host", "localhost").await?), ("port", ask(context, "Redis port", "6379").await?)];
        let password = ask(context, "Redis password (empty for none)", "").await?;
        if !password.is_empty() {
            redis.push(("password", password));
        }
        match backend(&s3, &redis)?.ping().await {
            Ok(()) => break redis,
            Err(error) if again(context, &mut out, &error.to_string()).await? => {}
            Err(error) => return Err(error.into()),
        }
    };
    write(&target, &s3, &redis).with_context(|| format!("cannot write {}", target.display()))?;
    out.line(format!("Wrote {}", target.display()))?;
    out.flush()?;
    Ok(Outcome::Done)
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

/// A `%` is doubled, because it refers to other options otherwise.
fn write(target: &PathBuf, s3: &Options, redis: &Options) -> Result<(), std::io::Error> {
    let mut ini = ini::Ini::new();
    for (section, options) in [("s3", s3), ("redis", redis)] {
        for (option, value) in options {
            ini.set_to(Some(section), (*option).to_owned(), value.replace('%', "%%"));
        }
    }
    ini.write_to_file_policy(target, ini::EscapePolicy::Nothing)
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
