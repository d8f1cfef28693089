//! Mails to users, by the server that `mail_smtp` names. See MWDB API §U4.3 and §U5.
//!
//! The one rule: nothing is queued. Whoever asks for a mail waits until the server took it, and is told
//! when it did not.

mod letters;

use std::time::Duration;

use anyhow::Context;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, MIME_VERSION_1_0},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};

pub(crate) use letters::Letter;
use letters::Texts;

use crate::config::{Config, MailConfig};

/// How long one answer of the mail server may take, and all of it.
const ANSWER: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(20);

/// Sends mails, or says that it cannot.
pub(crate) struct Mailer(Option<Sender>);

struct Sender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    texts: Texts,
}

impl Mailer {
    /// Prepares the way to the mail server; it may be away.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        config.mail.as_ref().map(|mail| Sender::new(mail, config)).transpose().map(Self)
    }

    /// Whether there is a mail server.
    pub(crate) fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Sends a letter to the address of an account. `link` is the address to set a password at.
    pub(crate) async fn send(&self, letter: Letter, login: &str, email: &str, link: Option<&str>) -> anyhow::Result<()> {
        let sender = self.0.as_ref().context("[mwdb] mail_smtp is not set: this server sends no mails")?;
        let address: Address = email.parse().with_context(|| format!("the address of `{login}` cannot be used in a mail"))?;
        let (subject, text) = sender.texts.of(letter, login, link.unwrap_or_default());
        let message = Message::builder()
            .from(sender.from.clone())
            .to(Mailbox::new(None, address))
            .subject(subject)
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .context("write a mail")?;
        let sent = tokio::time::timeout(WHOLE, sender.transport.send(message));
        sent.await.context("the mail server does not answer")?.context("the mail server did not take a mail")?;
        tracing::info!("mail to `{login}`: {letter:?}");
        Ok(())
    }
}

impl Mailer {
    /// Sends a letter where there is a mail server. One that fails is noted and no more: what it tells of
    /// has happened.
    pub(crate) async fn tell(&self, letter: Letter, login: &str, email: &str) {
        if self.is_enabled()
            && let Err(error) = self.send(letter, login, email, None).await
        {
            tracing::warn!("`{login}` is not told by mail ({letter:?}): {error:#}");
        }
    }
}

impl Sender {
    fn new(mail: &MailConfig, config: &Config) -> anyhow::Result<Self> {
        let tls = if mail.tls {
            Tls::Required(TlsParameters::new(mail.host.clone()).with_context(|| format!("encrypt the way to `{}`", mail.host))?)
        } else {
            Tls::None
        };
        let mut transport =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host).port(mail.port).tls(tls).timeout(Some(ANSWER));
        if let Some((username, password)) = mail.account.clone() {
            transport = transport.credentials(Credentials::new(username, password));
        }
        let from = mail.from.parse().with_context(|| format!("[mwdb] mail_from `{}` is no address", mail.from))?;
        Ok(Self { transport: transport.build(), from, texts: Texts::new(config, mail.templates.clone()) })
    }
}
