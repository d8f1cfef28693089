//! The writes: carried out, or noted when the task is only looked at.
//!
//! The one rule: nothing else in this module's neighbours changes MWDB, so a plan is complete and
//! harmless.

use karton_rs::json::Value;

use super::{Run, change::Change, object::Subject};
use crate::mwdb::{Error, Object, UploadOptions};

impl Run<'_> {
    pub(super) async fn upload(&self, subject: &Subject<'_>, existing: Option<Object>, options: UploadOptions) -> Result<Object, Error> {
        let Some(plan) = self.plan else { return subject.upload(self.mwdb, &options).await };
        let planned = existing.unwrap_or_else(|| Object::planned(subject.id(), options.parent.clone(), options.tags.clone()));
        let exists = !planned.is_planned();
        let (name, size) = subject.name_and_size();
        plan.note(Change::Upload { kind: subject.kind(), id: subject.id().to_owned(), name, size, exists, options });
        Ok(planned)
    }

    pub(super) async fn put_child(&self, parent: &str, child: &str) -> Result<(), Error> {
        match self.plan {
            None => self.mwdb.add_child(parent, child).await,
            Some(plan) => {
                plan.note(Change::Link { parent: parent.to_owned(), child: child.to_owned() });
                Ok(())
            }
        }
    }

    pub(super) async fn put_tag(&self, id: &str, tag: &str) -> Result<(), Error> {
        match self.plan {
            None => self.mwdb.add_tag(id, tag).await,
            Some(plan) => {
                plan.note(Change::Tag { id: id.to_owned(), tag: tag.to_owned() });
                Ok(())
            }
        }
    }

    pub(super) async fn put_attribute(&self, id: &str, key: &str, value: &Value) -> Result<(), Error> {
        match self.plan {
            None => self.mwdb.add_attribute(id, key, value).await,
            Some(plan) => {
                plan.note(Change::Attribute { id: id.to_owned(), key: key.to_owned(), value: value.clone() });
                Ok(())
            }
        }
    }

    pub(super) async fn put_analysis(&self, id: &str) -> Result<(), Error> {
        let karton_id = self.task.root_uid();
        match self.plan {
            None => self.mwdb.assign_analysis(id, karton_id).await,
            Some(plan) => {
                plan.note(Change::Analysis { id: id.to_owned(), karton_id: karton_id.to_owned() });
                Ok(())
            }
        }
    }

    /// Makes the comments that nobody has made.
    pub(super) async fn put_comments(&self, id: &str, comments: &[String]) -> Result<(), Error> {
        if comments.is_empty() {
            return Ok(());
        }
        let Some(plan) = self.plan else {
            // Two tasks of this process must not find the same comment missing.
            let _turn = self.turns.wait(id).await;
            return self.mwdb.ensure_comments(id, comments).await.map(drop);
        };
        let present = if plan.makes(id) { Vec::new() } else { self.mwdb.comments(id).await? };
        let mut present: Vec<String> = present.into_iter().map(|comment| comment.text).collect();
        for comment in comments {
            if !present.contains(comment) {
                plan.note(Change::Comment { id: id.to_owned(), comment: comment.clone() });
                present.push(comment.clone());
            }
        }
        Ok(())
    }
}
