//! Tasks of type `blob`.

use karton_rs::json::{Value, python_text};

use super::{Run, error::ReportError, inputs, inputs::Metadata, object::Subject, spool::sha256};

impl Run<'_> {
    pub(super) async fn blob(&self) -> Result<(), ReportError> {
        let kind = self.task.header("kind").map(python_text).ok_or(ReportError::NoHeader("kind"))?;
        let name = match self.task.payload("name") {
            None | Some(Value::Null) => "blob",
            Some(_) => inputs::text(self.task, "name")?,
        };
        let content = inputs::text(self.task, "content")?;
        let metadata = Metadata::of_task(self.task)?;
        let parent = self.parent().await?;
        let blob = Subject::Blob { id: sha256(content), name, kind: &kind, content };
        self.report_object(&blob, parent.as_deref(), &metadata).await?;
        Ok(())
    }
}
