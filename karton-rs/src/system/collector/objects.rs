//! Which objects are done with.
//!
//! The one rule: an object is deleted only when no record that exists refers to it. A page of objects
//! is listed before all records are read, because a producer writes the record before it uploads; then
//! what no record referred to is deleted, and the next page is listed. A record that cannot be read is
//! taken to refer to everything in it that looks like the uid of a resource.

use std::sync::LazyLock;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use regex::bytes::Regex;
use uuid::Uuid;

use super::Collector;
use crate::{
    backend::{keys, read_task, resources},
    error::Error,
    storage::ObjectVersion,
};

/// Memory that the objects of one page may take.
const PAGE_BYTES: usize = 4 << 20;
/// How many objects are deleted by one request.
const DELETE_BATCH: usize = 250;
/// Requests that are under way at once.
const DELETES: usize = 4;

impl Collector<'_> {
    pub(super) async fn collect_objects(&mut self) -> Result<usize, Error> {
        let backend = self.backend.clone();
        let bucket = backend.storage().bucket()?.to_owned();
        let (mut after, mut deleted) = (None, 0);
        loop {
            let mut page = Page::default();
            loop {
                self.renew().await?;
                let listed = backend.storage().list_versions(after).await?;
                listed.objects.into_iter().for_each(|object| page.add(&object));
                after = listed.next;
                if after.is_none() || page.bytes() >= PAGE_BYTES {
                    break;
                }
            }
            page.sort();
            let mut scan = backend.scan(keys::EVERY_TASK);
            while page.unused > 0 {
                let Some(records) = scan.next().await? else { break };
                self.renew().await?;
                records.iter().for_each(|(_, record)| refer(record, &bucket, |uid| page.keep(uid)));
            }
            deleted += page.unused;
            self.delete(&page).await?;
            if after.is_none() {
                return Ok(deleted);
            }
        }
    }

    async fn delete(&mut self, page: &Page) -> Result<(), Error> {
        let (storage, name_null) = (self.backend.storage().clone(), self.settings.enable_null_version_deletion);
        let batches = stream::iter(page.unused()).chunks(DELETE_BATCH).map(|batch| {
            let storage = storage.clone();
            async move { storage.delete(&batch, name_null).await.map(|refused| (refused, batch.len())) }
        });
        let mut batches = batches.buffer_unordered(DELETES);
        while let Some((refused, count)) = batches.try_next().await? {
            if refused > 0 {
                tracing::warn!("the object store refused to delete {refused} of {count} objects");
            }
            self.renew().await?;
        }
        Ok(())
    }
}

/// Some objects of the bucket, in little memory: most keys are UUIDs.
#[derive(Default)]
struct Page {
    /// Keys that are UUIDs as they are usually written, of objects without a version.
    uuids: Vec<Entry<Uuid>>,
    others: Vec<Entry<Text>>,
    /// Keys and versions of the others.
    text: String,
    unused: usize,
}

#[derive(Clone, Copy)]
struct Entry<T> {
    name: T,
    used: bool,
}

/// Where in the text of the page a key starts, where it ends and the version starts, and where that ends.
#[derive(Clone, Copy)]
struct Text(usize, usize, usize);

impl Page {
    fn bytes(&self) -> usize {
        size_of_val(&*self.uuids) + size_of_val(&*self.others) + self.text.len()
    }

    fn add(&mut self, object: &ObjectVersion) {
        self.unused += 1;
        if let (Some(uuid), None) = (uuid(&object.key), &object.version) {
            self.uuids.push(Entry { name: uuid, used: false });
            return;
        }
        let start = self.text.len();
        self.text.push_str(&object.key);
        let middle = self.text.len();
        self.text.push_str(object.version.as_deref().unwrap_or_default());
        self.others.push(Entry { name: Text(start, middle, self.text.len()), used: false });
    }

    fn sort(&mut self) {
        self.uuids.sort_unstable_by_key(|entry| entry.name);
        let text = &self.text;
        self.others.sort_unstable_by_key(|entry| &text[entry.name.0..entry.name.1]);
    }

    /// Keeps all versions of an object; the page must have been sorted.
    fn keep(&mut self, uid: &str) {
        let uuids = uuid(uid).map(|uuid| equal(&self.uuids, |entry| entry.name.cmp(&uuid)));
        let text = &self.text;
        let others = equal(&self.others, |entry| text[entry.name.0..entry.name.1].cmp(uid));
        let uuids = uuids.and_then(|range| self.uuids.get_mut(range)).into_iter().flatten().map(|entry| &mut entry.used);
        let others = self.others.get_mut(others).into_iter().flatten().map(|entry| &mut entry.used);
        for used in uuids.chain(others) {
            self.unused -= usize::from(!std::mem::replace(used, true));
        }
    }

    /// What was not kept.
    fn unused(&self) -> impl Iterator<Item = ObjectVersion> + '_ {
        let uuids = self.uuids.iter().filter(|entry| !entry.used);
        let uuids = uuids.map(|entry| ObjectVersion { key: entry.name.to_string(), version: None });
        let others = self.others.iter().filter(|entry| !entry.used).map(|entry| {
            let Text(start, middle, end) = entry.name;
            let version = (end > middle).then(|| self.text[middle..end].to_owned());
            ObjectVersion { key: self.text[start..middle].to_owned(), version }
        });
        uuids.chain(others)
    }
}

/// Where in a sorted list the equal ones are.
fn equal<T>(sorted: &[T], order: impl Fn(&T) -> std::cmp::Ordering) -> std::ops::Range<usize> {
    sorted.partition_point(|item| order(item).is_lt())..sorted.partition_point(|item| order(item).is_le())
}

/// A UUID that is written as it is usually written, so that the text can be had back.
fn uuid(key: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(key).ok()?;
    (*uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *key).then_some(uuid)
}

/// Calls `each` with the uid of every object in the bucket that a record refers to, or may refer to.
fn refer(record: &[u8], bucket: &str, mut each: impl FnMut(&str)) {
    if !resources(record, bucket, &mut each) {
        referred(record, bucket).iter().for_each(|uid| each(uid));
    }
}

/// The uids of all objects in the bucket that a record refers to, or may refer to when it is unreadable.
pub(in crate::system) fn referred(record: &[u8], bucket: &str) -> Vec<String> {
    match read_task("", record) {
        Ok(task) => {
            let resources = task.resources().into_iter();
            resources.filter(|resource| resource.bucket.as_deref() == Some(bucket)).map(|resource| resource.uid).collect()
        }
        Err(_) => possible_uids(record).map(str::to_owned).collect(),
    }
}

/// Everything in an unreadable record that looks like the uid of a resource.
fn possible_uids(record: &[u8]) -> impl Iterator<Item = &str> {
    static UUID: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new("(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").ok());
    UUID.iter().flat_map(move |pattern| pattern.find_iter(record)).filter_map(|found| std::str::from_utf8(found.as_bytes()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1f2e3d4c-5b6a-4788-99aa-bbccddeeff00";
    const OTHER: &str = "1f2e3d4c-5b6a-4788-99aa-bbccddeeff01";

    fn page(objects: &[(&str, Option<&str>)]) -> Page {
        let mut page = Page::default();
        for (key, version) in objects {
            page.add(&ObjectVersion { key: (*key).to_owned(), version: version.map(str::to_owned) });
        }
        page.sort();
        page
    }

    fn unused(page: &Page) -> Vec<(String, Option<String>)> {
        let mut unused: Vec<_> = page.unused().map(|object| (object.key, object.version)).collect();
        unused.sort();
        assert_eq!(unused.len(), page.unused);
        unused
    }

    fn owned(objects: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        objects.iter().map(|(key, version)| ((*key).to_owned(), version.map(str::to_owned))).collect()
    }

    #[test]
    fn what_no_record_refers_to_comes_out_as_it_was_listed() {
        let upper = ONE.to_uppercase();
        let mut listed =
            vec![(ONE, None), (ONE, Some("v1")), (ONE, Some("v2")), (OTHER, None), (upper.as_str(), None), ("b", None), ("a", Some("v"))];
        let mut page = page(&listed);
        listed.sort_unstable();
        assert_eq!(unused(&page), owned(&listed));
        for kept in [ONE, "b", "b", "c"] {
            page.keep(kept);
        }
        listed.retain(|(key, _)| ![ONE, "b"].contains(key));
        assert_eq!(unused(&page), owned(&listed));
    }

    #[test]
    fn two_hundred_thousand_objects_fit_into_a_page() {
        let mut page = Page::default();
        for number in 0..200_000 {
            page.add(&ObjectVersion { key: Uuid::from_u128(number).to_string(), version: None });
        }
        assert!(page.bytes() <= PAGE_BYTES, "{}", page.bytes());
    }
}
