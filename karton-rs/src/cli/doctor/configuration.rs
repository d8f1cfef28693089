//! Where the configuration comes from, and whether it can be used.

use super::{Context, Report};
use crate::config::{Config, FileState, Origin};

/// Options that mean something, of the sections where a mistake in a name is hard to see.
const KNOWN: [(&str, &[&str]); 2] = [
    ("redis", &["host", "port", "db", "ssl", "username", "password", "socket_timeout", "url"]),
    ("s3", &["address", "access_key", "secret_key", "bucket", "iam_auth", "secure"]),
];

pub(super) fn check(context: &Context, report: &mut Report) -> std::io::Result<Option<Config>> {
    let mut told = false;
    for origin in Config::origins(context.config_file.as_deref()) {
        match origin {
            Origin::File { path, state: FileState::Fine } => report.fine("config", format!("read from {}", path.display()))?,
            Origin::File { path, state: FileState::Missing } => {
                told = true;
                let configure = report.commands.karton("configure", &[]);
                report.wrong(
                    "config",
                    format!("{} was named and does not exist", path.display()),
                    format!("name another file with --config-file or KARTON_CONFIG_FILE, or write it: `{configure}`"),
                )?;
            }
            Origin::File { state: FileState::Skipped(problem), .. } => {
                report.warning("config", format!("{problem}; it is left out"), "let this user read it, if it is meant for it")?;
            }
            Origin::File { path, state: FileState::Wrong(problem) } => {
                told = true;
                report.wrong(
                    "config",
                    problem,
                    if path.is_file() { "correct it there" } else { "name a file with --config-file or KARTON_CONFIG_FILE" },
                )?;
            }
            Origin::Variables(names) => report.fine("config", format!("set by variables: {}", names.join(", ")))?,
        }
    }
    let config = match context.config() {
        Ok(config) => config,
        Err(error) => {
            // What a file has by itself is told above.
            if !told {
                let configure = report.commands.karton("configure", &["--force"]);
                report.wrong("config", error.to_string(), format!("correct it, or write a new file: `{configure}`"))?;
            }
            return Ok(None);
        }
    };
    for (section, known) in KNOWN {
        let options = config.sections().find(|(name, _)| *name == section).map(|(_, options)| options);
        // `[DEFAULT]` entries appear in every section.
        let shared = config.sections().find(|(name, _)| *name == "DEFAULT").map(|(_, options)| options);
        for option in options.into_iter().flat_map(|options| options.keys()) {
            if !known.contains(&option.as_str()) && !shared.is_some_and(|shared| shared.contains_key(option)) {
                report.warning(
                    "config",
                    format!("[{section}] {option} means nothing to Karton"),
                    format!("one of {}", known.join(", ")),
                )?;
            }
        }
    }
    if config.int("redis", "socket_timeout").is_ok_and(|timeout| timeout.is_some_and(|seconds| (1..=5).contains(&seconds))) {
        report.wrong(
            "config",
            "[redis] socket_timeout is not above 5: Python consumers wait for tasks in steps of 5 s, and give up",
            "set [redis] socket_timeout to 30",
        )?;
    }
    Ok(Some(config))
}
