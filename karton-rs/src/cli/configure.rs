//! `karton configure`: asks for the servers, tries them, writes `karton.ini`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};

use crate::{Config, backend::Backend};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Replace an existing file
    #[arg(short, long)]
    force: bool,
}

pub(super) async fn run(target: Option<PathBuf>, args: Args) -> anyhow::Result<()> {
    let target = target.unwrap_or_else(|| PathBuf::from("karton.ini"));
    ensure!(args.force || !target.exists(), "{} exists already; --force replaces it", target.display());
    let s3 = loop {
        let s3 = [
            ("access_key", ask("S3 access key", "minioadmin")?),
            ("secret_key", ask("S3 secret key", "minioadmin")?),
            ("address", ask("S3 address", "http://localhost:9000")?),
            ("bucket", ask("S3 bucket", "karton")?),
        ];
        let backend = backend(&s3, &[("host", "localhost".to_owned())])?;
        match backend.storage().check_bucket(false).await {
            Ok(true) => break s3,
            Ok(false) => {
                println!("The bucket does not exist yet; `karton-system --setup-bucket` creates it.");
                break s3;
            }
            Err(error) if error.is_temporary() && again(&error.to_string())? => {}
            Err(error) => return Err(error.into()),
        }
    };
    let redis = loop {
        let mut redis = vec![("host", ask("Redis host", "localhost")?), ("port", ask("Redis port", "6379")?)];
        let password = ask("Redis password (empty for none)", "")?;
        if !password.is_empty() {
            redis.push(("password", password));
        }
        match backend(&s3, &redis)?.ping().await {
            Ok(()) => break redis,
            Err(error) if again(&error.to_string())? => {}
            Err(error) => return Err(error.into()),
        }
    };
    write(&target, &s3, &redis).with_context(|| format!("cannot write {}", target.display()))?;
    println!("Wrote {}", target.display());
    Ok(())
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

fn ask(question: &str, default: &str) -> std::io::Result<String> {
    if default.is_empty() {
        print!("{question}: ");
    } else {
        print!("{question} [{default}]: ");
    }
    std::io::stdout().flush()?;
    let mut answer = String::new();
    if std::io::stdin().read_line(&mut answer)? == 0 {
        return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "no answer: run it in a terminal"));
    }
    let answer = answer.trim();
    Ok(if answer.is_empty() { default } else { answer }.to_owned())
}

fn again(problem: &str) -> std::io::Result<bool> {
    println!("{problem}");
    Ok(matches!(ask("Try again?", "yes")?.as_str(), "yes" | "y"))
}
