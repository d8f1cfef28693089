//! What mails say.
//!
//! A file of `mail_templates_folder` stands in for a built-in text. Its first line is the subject.

use std::path::PathBuf;

use crate::config::Config;

/// Why a user gets a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letter {
    /// Asked for an account.
    Registered,
    /// Got an account, or was accepted.
    Welcome,
    /// Was not accepted.
    Rejected,
    /// Asked to set a password anew.
    Recover,
}

impl Letter {
    /// The file that stands in for the text.
    fn file(self) -> &'static str {
        match self {
            Self::Registered => "register.txt",
            Self::Welcome => "pending.txt",
            Self::Rejected => "rejection.txt",
            Self::Recover => "recover.txt",
        }
    }

    fn built_in(self) -> &'static str {
        match self {
            Self::Registered => {
                "Your request for an account of {instance}\n\
                 Hello {login},\n\nyour request has arrived. You will get another mail once somebody has looked at it.\n\n{base_url}\n"
            }
            Self::Welcome => {
                "Your account of {instance}\n\
                 Hello {login},\n\nyou have an account now. Set your password here:\n\n{link}\n\nThe link works once, for 14 days.\n"
            }
            Self::Rejected => {
                "Your request for an account of {instance}\n\
                 Hello {login},\n\nyour request for an account was not accepted.\n\n{base_url}\n"
            }
            Self::Recover => {
                "Set your password of {instance}\n\
                 Hello {login},\n\nsomebody, most likely you, asked for a link to set your password:\n\n{link}\n\n\
                 The link works once, for 14 days. If it was not you, do nothing.\n"
            }
        }
    }
}

/// The texts with what they say of this server.
pub(super) struct Texts {
    instance: String,
    base_url: String,
    folder: Option<PathBuf>,
}

impl Texts {
    pub(super) fn new(config: &Config, folder: Option<PathBuf>) -> Self {
        Self { instance: config.instance_name.clone(), base_url: config.base_url.trim_end_matches('/').to_owned(), folder }
    }

    /// Subject and text.
    pub(super) fn of(&self, letter: Letter, login: &str, link: &str) -> (String, String) {
        let own = self.folder.as_ref().and_then(|folder| {
            let path = folder.join(letter.file());
            path.is_file().then(|| std::fs::read_to_string(&path)).and_then(|text| {
                text.inspect_err(|error| tracing::warn!("`{}` cannot be read, the built-in text goes out: {error}", path.display())).ok()
            })
        });
        let text = own.as_deref().unwrap_or_else(|| letter.built_in());
        let (subject, body) = text.split_once('\n').unwrap_or((text, ""));
        (self.filled(subject, login, link).trim().to_owned(), self.filled(body, login, link))
    }

    fn filled(&self, text: &str, login: &str, link: &str) -> String {
        // The instance last: its name is the only one that may hold braces.
        text.replace("{login}", login).replace("{link}", link).replace("{base_url}", &self.base_url).replace("{instance}", &self.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_subject_greeting_and_link() {
        let texts = Texts::new(&Config { instance_name: "lab".to_owned(), ..Config::default() }, None);
        let (subject, text) = texts.of(Letter::Welcome, "alice", "http://here/x");
        assert_eq!(subject, "Your account of lab");
        assert!(text.starts_with("Hello alice,\n") && text.contains("\nhttp://here/x\n"), "{text}");
    }

    #[test]
    fn a_file_stands_in_for_a_text() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("recover.txt"), "Subject for {login}\r\nGo to {link} of {base_url}")?;
        let texts = Texts::new(&Config::default(), Some(folder.path().to_owned()));
        let expected = ("Subject for bob".to_owned(), "Go to L of http://127.0.0.1".to_owned());
        assert_eq!(texts.of(Letter::Recover, "bob", "L"), expected);
        assert_eq!(texts.of(Letter::Rejected, "bob", "").0, "Your request for an account of mwdb");
        Ok(())
    }
}
