//! Going over everything that is stored, for those who compare it with the database.

use tokio::sync::mpsc;

use super::{Store, StoreError, hash_in, store::Place};

/// Something that is stored and bears the name of a hash. Whatever else lies there is not ours.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Its path below the folder, or its key in the bucket.
    pub(crate) key: String,
    pub(crate) size: u64,
    /// The hash that it should be the content of.
    pub(crate) sha256: String,
    /// Whether content is looked for here; otherwise it lies under the other scheme, or at random.
    pub(crate) in_place: bool,
}

/// What is read ahead.
const AHEAD: usize = 1000;

impl Store {
    /// Everything in the place of content, in any order.
    pub(crate) fn walk(&self) -> mpsc::Receiver<Result<Stored, StoreError>> {
        let (found, walked) = mpsc::channel(AHEAD);
        let layout = self.layout;
        let stored = move |key: String, size| {
            let sha256 = hash_in(&key)?.to_owned();
            Some(Stored { in_place: layout.looks_at(&key, &sha256), sha256, key, size })
        };
        match self.place.clone() {
            Place::Disk(disk) => {
                tokio::task::spawn_blocking(move || {
                    let listed = disk.list(|key, size| stored(key, size).is_none_or(|stored| found.blocking_send(Ok(stored)).is_ok()));
                    if let Err(error) = listed {
                        // Nobody listens when the walk was given up.
                        let _ = found.blocking_send(Err(error));
                    }
                });
            }
            Place::S3(bucket) => {
                tokio::spawn(async move {
                    let mut after = None;
                    loop {
                        let (objects, next) = match bucket.list(after).await {
                            Ok(page) => page,
                            Err(error) => {
                                let _ = found.send(Err(error)).await;
                                return;
                            }
                        };
                        for stored in objects.into_iter().filter_map(|(key, size)| stored(key, size)) {
                            if found.send(Ok(stored)).await.is_err() {
                                return;
                            }
                        }
                        after = next;
                        if after.is_none() {
                            return;
                        }
                    }
                });
            }
        }
        walked
    }

    /// Moves what is stored under a key out of the way, and tells where to.
    pub(crate) async fn set_aside(&self, key: &str) -> Result<String, StoreError> {
        match &self.place {
            Place::Disk(disk) => disk.set_aside(key),
            Place::S3(bucket) => bucket.set_aside(key).await,
        }
    }

    /// Removes content. Only for who knows that no row needs it.
    pub(crate) async fn remove(&self, sha256: &str) -> Result<(), StoreError> {
        match &self.place {
            Place::Disk(disk) => disk.remove(sha256),
            Place::S3(bucket) => bucket.remove(sha256).await,
        }
    }

    /// Under which key content is found; nothing when it is missing.
    pub(crate) async fn key_of(&self, sha256: &str) -> Result<Option<String>, StoreError> {
        match &self.place {
            Place::Disk(disk) => Ok(disk.key_of(sha256)),
            Place::S3(bucket) => Ok(bucket.find(sha256).await?.map(|(key, _)| key)),
        }
    }
}
