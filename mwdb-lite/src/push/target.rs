//! The other MWDB: what the account may do there, and what it has been refused.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use karton_rs::json::{Map, Value};
use reporter::mwdb::{Client, Error, Problem};
use rusqlite::Connection;

use crate::{
    auth::Capability,
    db::attributes::{self, DefinitionRow},
};

/// What is known of the other side.
pub(super) struct Target {
    /// Attribute keys that may be set there.
    keys: HashSet<String>,
    /// Groups that the account may share with.
    groups: HashSet<String>,
    /// Login of the account.
    login: String,
    capabilities: HashSet<String>,
    /// What is left out from the start.
    pub(super) notes: Vec<String>,
    /// What is left out when it comes up, told once at the end.
    refused: Mutex<BTreeSet<String>>,
}

impl Target {
    /// Asks the other side, and makes the attribute keys that it lacks, where that is allowed.
    pub(super) async fn meet(client: &Client, c: &Connection, dry_run: bool) -> anyhow::Result<Self> {
        let account = client.get(&["auth", "validate"], None).await.context("ask the other MWDB who we are there")?;
        let login = account.get("login").and_then(Value::as_str).unwrap_or_default().to_owned();
        let capabilities = texts(account.get("capabilities"));
        let groups = texts(client.get(&["share"], None).await?.get("groups"));
        let mut target = Self { keys: settable(client).await?, groups, login, capabilities, notes: Vec::new(), refused: Mutex::default() };
        for definition in attributes::definitions(c)? {
            if !target.keys.contains(&definition.key) {
                target.missing_key(client, &definition, dry_run).await?;
            }
        }
        if !dry_run {
            target.keys = settable(client).await?;
        }
        for (capability, effect) in [
            (Capability::AddingFiles, "files"),
            (Capability::AddingBlobs, "blobs"),
            (Capability::AddingConfigs, "configs"),
            (Capability::AddingParents, "relations"),
            (Capability::AddingComments, "comments"),
            (Capability::KartonAssign, "the analyses that objects belong to"),
        ] {
            if !target.may(capability) {
                target.notes.push(format!("`{}` may not add {effect} there: capability {} is missing", target.login, capability.name()));
            }
        }
        Ok(target)
    }

    async fn missing_key(&mut self, client: &Client, definition: &DefinitionRow, dry_run: bool) -> anyhow::Result<()> {
        let key = &definition.key;
        if !self.may(Capability::ManageUsers) || !self.may(Capability::AddingAllAttributes) {
            self.notes.push(format!("values of the attribute `{key}` are left out: it may not be set or does not exist there"));
            return Ok(());
        }
        if dry_run {
            self.notes.push(format!("the attribute `{key}` would be defined there"));
            return Ok(());
        }
        let mut body = Map::new();
        for (name, text) in [
            ("key", key),
            ("label", &definition.label),
            ("description", &definition.description),
            ("url_template", &definition.url_template),
            ("rich_template", &definition.rich_template),
            ("example_value", &definition.example_value),
        ] {
            body.insert(name.to_owned(), text.as_str().into());
        }
        body.insert("hidden".to_owned(), definition.hidden.into());
        match client.post(&["attribute"], body.into()).await {
            Ok(_) => Ok(()),
            // Somebody was faster.
            Err(error) if matches!(error.problem(), Problem::TypeConflict(_)) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("define the attribute `{key}`")),
        }
    }

    pub(super) fn may(&self, capability: Capability) -> bool {
        self.capabilities.contains(capability.name())
    }

    pub(super) fn takes_key(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Whom an object is uploaded as: its first uploader, if the account may; otherwise itself alone, so
    /// that nobody sees more there than here.
    pub(super) fn upload_as(&self, uploader: Option<&str>) -> String {
        match uploader {
            Some(login) if self.groups.contains(login) => login.to_owned(),
            _ => "private".to_owned(),
        }
    }

    /// Whether an object can be shared with a group there.
    pub(super) fn shares_with(&self, group: &str) -> bool {
        if group == self.login {
            return false;
        }
        let known = self.groups.contains(group);
        if !known {
            self.refuse(format!(
                "nothing is shared with the group `{group}`: `{}` is no member of it there, or it does not exist",
                self.login
            ));
        }
        known
    }

    /// Notes something that is left out.
    pub(super) fn refuse(&self, what: String) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(what);
    }

    /// All that was left out.
    pub(super) fn refusals(&self) -> Vec<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

async fn settable(client: &Client) -> Result<HashSet<String>, Error> {
    let answer = client.get(&["attribute"], Some(("access", "set"))).await?;
    let definitions = answer.get("attribute_definitions").and_then(Value::as_array).unwrap_or_default();
    Ok(definitions.iter().filter_map(|definition| Some(definition.get("key")?.as_str()?.to_owned())).collect())
}

fn texts(list: Option<&Value>) -> HashSet<String> {
    list.and_then(Value::as_array).unwrap_or_default().iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
