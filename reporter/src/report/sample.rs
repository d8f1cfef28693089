//! Tasks of type `sample`.

use super::{Run, error::ReportError, inputs::Metadata};

impl Run<'_> {
    pub(super) async fn sample(&self) -> Result<(), ReportError> {
        let sample = self.task.resource("sample")?;
        let metadata = Metadata::of_task(self.task)?;
        let parent = self.parent().await?;
        self.report_file(&sample, parent.as_deref(), &metadata).await?;
        Ok(())
    }
}
