//! Which task is meant by what somebody has typed.
//!
//! The one rule: what is whole wins over what begins so, and where several are meant all are given: nobody guesses.

use super::Inspect;
use crate::{backend::Backend, error::Error};

/// Signs that tell enough to look for tasks whose uid begins with them.
const SHORTEST: usize = 4;

impl Inspect {
    /// The full uids of the tasks that are meant by a full uid (`{root}:task`), by the part behind its last `:`, or by
    /// the first four or more signs of that part. None: there is no such task. Several: it is not clear which.
    ///
    /// ```no_run
    /// # async fn example(inspect: karton_rs::Inspect) -> Result<(), karton_rs::Error> {
    /// if let [uid] = inspect.find_tasks("0f3c").await?.as_slice() {
    ///     println!("{uid}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn find_tasks(&self, typed: &str) -> Result<Vec<String>, Error> {
        find_tasks(&self.backend, typed).await
    }
}

pub(crate) async fn find_tasks(backend: &Backend, typed: &str) -> Result<Vec<String>, Error> {
    // A root uid is that of its first task as well.
    let candidates = [typed.to_owned(), format!("{{{typed}}}:{typed}")];
    let found = backend.records(&candidates).await?;
    if let Some((uid, _)) = candidates.into_iter().zip(found).find(|(_, record)| record.is_some()) {
        return Ok(vec![uid]);
    }
    if typed.contains(':') {
        return Ok(Vec::new());
    }
    let found = backend.uids_with(typed, |uid| end_of(uid).starts_with(typed)).await?;
    let (whole, begun): (Vec<String>, Vec<String>) = found.into_iter().partition(|uid| end_of(uid) == typed);
    Ok(if whole.is_empty() && typed.len() >= SHORTEST { begun } else { whole })
}

/// The part of a uid that tells tasks apart.
pub(crate) fn end_of(uid: &str) -> &str {
    uid.rsplit(':').next().unwrap_or(uid)
}
