//! The parent that a sample or blob names.

use super::{Run, error::ReportError, inputs, inputs::Metadata, inputs::Reference};
use crate::mwdb::{Object, ObjectType};

impl Run<'_> {
    /// Uploads or looks up payload `parent`; nothing when there is none that MWDB has or takes.
    pub(super) async fn parent(&self) -> Result<Option<String>, ReportError> {
        match inputs::reference(self.task, "parent") {
            Reference::File(resource) => {
                let parent = self.report_file(&resource, None, &Metadata::default()).await?;
                if parent.is_none() {
                    tracing::warn!("The parent could not be uploaded: the object will have none");
                }
                Ok(parent.map(|parent| parent.id))
            }
            Reference::Id(id) => Ok(self.find(&id).await?.map(|parent| parent.id)),
            Reference::None => Ok(None),
        }
    }

    /// Looks up an object by its id, or a file by any hash.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Object>, ReportError> {
        let kind = if id.len() == 64 { ObjectType::Object } else { ObjectType::File };
        let found = self.mwdb.query(kind, id).await?;
        if found.is_none() {
            tracing::warn!("MWDB has no object {id}");
        }
        Ok(found)
    }
}
