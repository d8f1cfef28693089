//! Commands to copy: with the configuration and the server that were looked at, and quoted for a shell.
//!
//! The one rule: whatever tells the user to run something writes it here, so that pasting it does what was
//! meant. An identity is what anyone has registered, so it is quoted wherever it is named; a password is
//! never part of a command.

use std::path::PathBuf;

use redis::{ConnectionAddr, ConnectionInfo};

use super::output::escape;
use crate::{ConfigError, RedisSettings, backend::connection_info};

/// Writes commands.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    config_file: Option<PathBuf>,
}

impl Commands {
    pub(super) fn new(config_file: Option<PathBuf>) -> Self {
        Self { config_file }
    }

    /// `karton` with a command and its words, which are quoted.
    pub(super) fn karton(&self, command: &str, words: &[&str]) -> String {
        let file = self.file().map_or_else(String::new, |file| format!(" -c {file}"));
        words.iter().fold(format!("karton{file} {command}"), |line, word| format!("{line} {}", quoted(word)))
    }

    /// A service, with its flags.
    pub(super) fn service(&self, program: &str, flags: &[&str]) -> String {
        let file = self.file().map_or_else(String::new, |file| format!(" --config-file {file}"));
        flags.iter().fold(format!("{program}{file}"), |line, flag| format!("{line} {flag}"))
    }

    /// The broker, with its flags.
    pub(super) fn system(&self, flags: &[&str]) -> String {
        self.service("karton-system", flags)
    }

    fn file(&self) -> Option<String> {
        self.config_file.as_ref().map(|file| quoted(&file.to_string_lossy()))
    }
}

/// `redis-cli` for the server of a configuration; of a password it asks.
pub(super) fn redis_cli(settings: &RedisSettings) -> Result<String, ConfigError> {
    let info = connection_info(settings)?;
    let words = server_words(settings, &info);
    Ok(words.iter().fold("redis-cli".to_owned(), |line, word| format!("{line} {}", quoted(word))))
}

fn server_words(settings: &RedisSettings, info: &ConnectionInfo) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
    match info.addr() {
        ConnectionAddr::Unix(path) => add("-s", &path.to_string_lossy()),
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            add("-h", host);
            add("-p", &port.to_string());
        }
        // This crate connects in no other way.
        _ => {}
    }
    if let Some(username) = info.redis_settings().username() {
        add("--user", username);
    }
    let files = [("--cacert", &settings.tls.authorities), ("--cert", &settings.tls.certificate), ("--key", &settings.tls.key)];
    for (flag, file) in files {
        if let Some(file) = file {
            add(flag, &file.to_string_lossy());
        }
    }
    if let ConnectionAddr::TcpTls { insecure, .. } = info.addr() {
        words.push("--tls".to_owned());
        if *insecure || settings.tls.unchecked {
            words.push("--insecure".to_owned());
        }
    }
    if info.redis_settings().password().is_some() {
        words.push("--askpass".to_owned());
    }
    words
}

/// A word of a shell's command line.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '%' | '+' | ',' | '=');
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    // What would act on a terminal is written as bash, zsh and ksh understand it.
    if escape(word) != word {
        let escaped = word.chars().map(|c| {
            let text = c.to_string();
            match c {
                '\'' | '\\' => format!("\\{c}"),
                _ if escape(&text) == text => text,
                _ => text.bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
            }
        });
        return format!("$'{}'", escaped.collect::<String>());
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_was_meant() {
        for word in ["karton.a", "[k]*.glob", "it's", "a b", "$HOME", "", "\x1b[2J'\\", "\u{202e}x", "{u}:1"] {
            let output = std::process::Command::new("bash").arg("-c").arg(format!("printf %s {}", quoted(word))).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word, "{}", quoted(word));
            assert_eq!(escape(&quoted(word)), quoted(word), "shown as it is");
        }
        assert_eq!(quoted("karton.a"), "karton.a");
    }

    #[test]
    fn the_file_that_was_given_is_part_of_the_command() {
        assert_eq!(Commands::new(None).karton("delete", &["karton.a"]), "karton delete karton.a");
        let commands = Commands::new(Some("my karton.ini".into()));
        assert_eq!(commands.karton("cancel", &["--identity", "[k]*"]), "karton -c 'my karton.ini' cancel --identity '[k]*'");
        assert_eq!(commands.system(&["--setup-bucket"]), "karton-system --config-file 'my karton.ini' --setup-bucket");
        assert_eq!(commands.service("karton-classifier", &[]), "karton-classifier --config-file 'my karton.ini'");
    }

    #[test]
    fn redis_cli_reaches_the_server_of_the_configuration_and_asks_for_its_password() {
        for (options, expected) in [
            ("host = queue", "redis-cli -h queue -p 6379"),
            ("host = queue\nport = 6380\ndb = 3\nssl = 1", "redis-cli -h queue -p 6380 --tls"),
            ("host = queue\nusername = a b\npassword = secret", "redis-cli -h queue -p 6379 --user 'a b' --askpass"),
            ("url = redis://u:secret@[::1]:7/4", "redis-cli -h ::1 -p 7 --user u --askpass"),
            ("url = rediss://queue?ssl_cert_reqs=none&password=secret", "redis-cli -h queue -p 6379 --tls --insecure --askpass"),
            ("url = rediss://queue?ssl_ca_certs=/ca.pem", "redis-cli -h queue -p 6379 --cacert /ca.pem --tls"),
            ("url = unix:///run/redis.sock", "redis-cli -s /run/redis.sock"),
        ] {
            let file = format!("[redis]\n{options}\n[s3]\naddress = http://s3\n");
            let config = crate::Config::from_parts(&[("karton.ini", &file)], []).unwrap();
            assert_eq!(redis_cli(&RedisSettings::from_config(&config).unwrap()).unwrap(), expected);
        }
    }
}
