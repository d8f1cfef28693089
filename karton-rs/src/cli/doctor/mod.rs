//! `karton doctor`: is everything as it should be, and what to do where it is not.
//!
//! The one rule: a finding says what is wrong and the exact way to put it right. A check that cannot
//! be made is a finding too, and ends no other.

mod configuration;
mod keys;
mod servers;
mod services;
mod stuck;

use std::time::Duration;

use super::{
    Context, Outcome,
    commands::{Commands, redis_cli},
    output::{Out, Style, escape, escape_lines},
    values,
};
use crate::{Inspect, RedisSettings, json::Map};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Take tasks for stuck that a consumer has had for longer than this
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "1h")]
    stuck_after: Duration,
    /// Exit with 1 for warnings too
    #[arg(long)]
    strict: bool,
    /// Do not write and delete a small object to try the bucket
    #[arg(long)]
    read_only: bool,
    /// Print one object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Fine,
    Warning,
    Wrong,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Warning => "warning",
            Self::Wrong => "error",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Fine => Style::Green,
            Self::Warning => Style::Yellow,
            Self::Wrong => Style::Red,
        }
    }
}

/// What a check has found.
struct Finding {
    level: Level,
    check: &'static str,
    message: String,
    fix: Option<String>,
}

/// Takes findings, and prints them as they come.
struct Report {
    out: Out,
    /// How the commands that put it right are written.
    commands: Commands,
    json: bool,
    worst: Level,
    counts: [u64; 2],
}

impl Report {
    fn fine(&mut self, check: &'static str, message: impl Into<String>) -> std::io::Result<()> {
        self.tell(&Finding { level: Level::Fine, check, message: message.into(), fix: None })
    }

    fn warning(&mut self, check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> std::io::Result<()> {
        self.tell(&Finding { level: Level::Warning, check, message: message.into(), fix: Some(fix.into()) })
    }

    fn wrong(&mut self, check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> std::io::Result<()> {
        self.tell(&Finding { level: Level::Wrong, check, message: message.into(), fix: Some(fix.into()) })
    }

    fn tell(&mut self, finding: &Finding) -> std::io::Result<()> {
        self.worst = self.worst.max(finding.level);
        match finding.level {
            Level::Fine => {}
            Level::Warning => self.counts[0] += 1,
            Level::Wrong => self.counts[1] += 1,
        }
        if self.json {
            let object = Map::from_iter([
                ("level".to_owned(), finding.level.word().into()),
                ("check".to_owned(), finding.check.into()),
                ("message".to_owned(), finding.message.as_str().into()),
                ("fix".to_owned(), finding.fix.clone().into()),
            ]);
            self.out.json(&object.into())?;
        } else {
            let word = self.out.paint(finding.level.style(), &format!("{:<8}", finding.level.word()));
            self.out.line(format!("{word} {:<11} {}", finding.check, escape_lines(&finding.message)))?;
            if let Some(fix) = &finding.fix {
                self.out.line(format!("{:<20} → {}", "", escape(fix)))?;
            }
        }
        self.out.flush()
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let commands = context.commands.clone();
    let mut report = Report { out: Out::of_deeds(), commands, json: args.json, worst: Level::Fine, counts: [0; 2] };
    if let Some(config) = configuration::check(context, &mut report)? {
        let redis = RedisSettings::from_config(&config).and_then(|settings| redis_cli(&settings));
        match redis.map_err(crate::Error::from).and_then(|redis| Ok((redis, Inspect::new(&config, super::IDENTITY, None)?))) {
            Ok((redis, inspect)) => {
                let backend = inspect.backend();
                // One server that is away must not hide what is wrong with the other.
                if servers::redis(backend, &redis, &mut report).await? {
                    let kinds = keys::check(backend, &redis, &mut report).await;
                    told(&mut report, "redis", kinds)?;
                    let online = services::check(&inspect, &mut report).await;
                    told(&mut report, "services", online)?;
                    let stuck = stuck::check(&inspect, args.stuck_after, &mut report).await;
                    told(&mut report, "tasks", stuck)?;
                }
                servers::storage(backend, args.read_only, &mut report).await?;
            }
            Err(error) => {
                let configure = report.commands.karton("configure", &["--force"]);
                report.wrong(
                    "config",
                    error.to_string(),
                    format!("correct it where it is set, in a file or variable named above, or `{configure}`"),
                )?;
            }
        }
    }
    if !args.json {
        let [warnings, errors] = report.counts;
        let end = match (errors, warnings) {
            (0, 0) => "Everything is as it should be.".to_owned(),
            _ => format!("{}, {}", values::count(errors, "error"), values::count(warnings, "warning")),
        };
        report.out.line(end)?;
        report.out.flush()?;
    }
    Ok(if report.worst == Level::Wrong || (args.strict && report.worst == Level::Warning) { Outcome::Failed } else { Outcome::Done })
}

/// A check that could not be made to its end.
fn told(report: &mut Report, check: &'static str, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
    match outcome {
        Err(error) if error.is::<std::io::Error>() => Err(error),
        Err(error) => {
            let again = report.commands.karton("doctor", &[]);
            Ok(report.wrong(
                check,
                format!("cannot be checked: {}", super::told(&error)),
                format!("see what Redis logs, then `{again}` again"),
            )?)
        }
        Ok(()) => Ok(()),
    }
}
