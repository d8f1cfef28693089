//! Commands to copy: with the configuration that was looked at, and quoted for a shell.
//!
//! The one rule: an identity is what anyone has registered, so it is quoted wherever it is named.

use std::path::PathBuf;

use crate::cli::output::escape;

/// Writes commands.
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

    /// The broker, with its flags.
    pub(super) fn system(&self, flags: &[&str]) -> String {
        let file = self.file().map_or_else(String::new, |file| format!(" --config-file {file}"));
        flags.iter().fold(format!("karton-system{file}"), |line, flag| format!("{line} {flag}"))
    }

    fn file(&self) -> Option<String> {
        self.config_file.as_ref().map(|file| quoted(&file.to_string_lossy()))
    }
}

/// A word of a shell's command line.
fn quoted(word: &str) -> String {
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
    }
}
