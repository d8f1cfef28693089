//! Trying whether the bucket can be used.

use super::Storage;
use crate::{error::Error, task::new_uid};

impl Storage {
    /// Writes a small object and deletes it.
    pub(crate) async fn try_write(&self) -> Result<(), Error> {
        let bucket = self.bucket()?;
        let key = format!("karton.rs.probe-{}", new_uid());
        let body = super::ByteStream::from_static(b"written to try the bucket");
        let put = self.client.put_object().bucket(bucket).key(&key).body(body).send().await;
        put.map_err(|error| self.error(format!("write to bucket `{bucket}`"), &error))?;
        let deleted = self.client.delete_object().bucket(bucket).key(&key).send().await;
        deleted.map_err(|error| self.error(format!("delete from bucket `{bucket}`"), &error))?;
        Ok(())
    }
}
