//! Listing and searching, a page at a time. See MWDB API §A1.6.

use std::collections::VecDeque;

use futures::{Stream, stream};
use karton_rs::json::Value;

use super::{
    client::{Client, bad_answer},
    error::Error,
    object::{Object, ObjectType},
    transport::Request,
};

/// Where a listing stands.
struct Position {
    client: Client,
    kind: ObjectType,
    query: String,
    page: VecDeque<Object>,
    last: Option<String>,
}

impl Client {
    /// The objects that a query matches, newest first; all of them when it is empty. Pages are
    /// fetched as the stream is read, so only one is held, and what is uploaded meanwhile is not seen.
    ///
    /// ```no_run
    /// use futures::TryStreamExt as _;
    /// use reporter::mwdb::{Client, ObjectType};
    ///
    /// # async fn example(mwdb: Client) -> Result<(), reporter::mwdb::Error> {
    /// let mut found = std::pin::pin!(mwdb.search(ObjectType::File, "tag:emotet AND size:<1MB"));
    /// while let Some(file) = found.try_next().await? {
    ///     println!("{} {}", file.id, file.text("file_name").unwrap_or_default());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn search(&self, kind: ObjectType, query: &str) -> impl Stream<Item = Result<Object, Error>> + Send + use<> {
        let start = Position { client: self.clone(), kind, query: query.to_owned(), page: VecDeque::new(), last: None };
        stream::try_unfold(start, |mut position| async move {
            if position.page.is_empty() {
                position.page = position.next_page().await?;
            }
            Ok(position.page.pop_front().map(|object| (object, position)))
        })
    }

    /// How many objects a query matches; all of them when it is empty.
    ///
    /// # Errors
    /// When MWDB does not understand the query, or does not tell.
    pub async fn count(&self, kind: ObjectType, query: &str) -> Result<u64, Error> {
        let mut request = Request::get(vec![kind.as_str(), "count"]);
        if !query.is_empty() {
            request = request.query("query", query);
        }
        let action = request.action();
        let answer = self.inner.call(request).await?;
        let count = answer.get("count").and_then(Value::as_number).and_then(karton_rs::json::Number::as_u64);
        count.ok_or_else(|| bad_answer(&action, "it has no `count`"))
    }
}

impl Position {
    async fn next_page(&mut self) -> Result<VecDeque<Object>, Error> {
        let mut request = Request::get(vec![self.kind.as_str()]).query("count", self.client.inner.settings.limits.page.to_string());
        if !self.query.is_empty() {
            request = request.query("query", self.query.as_str());
        }
        if let Some(last) = &self.last {
            request = request.query("older_than", last.as_str());
        }
        let action = request.action();
        let answer = self.client.inner.call(request).await?;
        let list = format!("{}s", self.kind.as_str());
        let items = answer.get(&list).and_then(Value::as_array).ok_or_else(|| bad_answer(&action, &format!("it has no `{list}`")))?;
        let page: Option<VecDeque<Object>> = items.iter().cloned().map(Object::from_answer).collect();
        let page = page.ok_or_else(|| bad_answer(&action, "it lists something without an `id`"))?;
        if let Some(oldest) = page.back() {
            // A server that ignores where we are would keep us here for ever.
            if self.last.as_ref() == Some(&oldest.id) {
                return Err(bad_answer(&action, "it is the same page again"));
            }
            self.last = Some(oldest.id.clone());
        }
        Ok(page)
    }
}
