//! What is attached to objects: tags, attributes, comments, shares, analyses. See MWDB API §O6-§O9, §U8, §K5.

use karton_rs::json::{Value, python_text};

use super::{
    client::{Client, bad_answer, checked},
    error::{Error, Problem},
    object::{Analyses, Analysis, Attribute, Comment, Share, list_of, texts},
    transport::{Body, Request},
    upload::object,
};

impl Client {
    /// The tags of an object.
    ///
    /// # Errors
    /// When MWDB does not tell.
    pub async fn tags(&self, id: &str) -> Result<Vec<String>, Error> {
        let request = Request::get(vec!["object", checked(id)?, "tag"]);
        let action = request.action();
        let answer = self.inner.call(request).await?;
        texts(Some(&answer), "tag").ok_or_else(|| bad_answer(&action, "it is no list of tags"))
    }

    /// Adds a tag; no change when the object has it.
    ///
    /// # Errors
    /// When MWDB refuses.
    pub async fn add_tag(&self, id: &str, tag: &str) -> Result<(), Error> {
        let body = Body::Json(object([("tag", tag.into())]));
        self.inner.call(Request::put(vec!["object", checked(id)?, "tag"], body)).await.map(drop)
    }

    /// Removes a tag; no change when the object does not have it.
    ///
    /// # Errors
    /// When MWDB refuses.
    pub async fn remove_tag(&self, id: &str, tag: &str) -> Result<(), Error> {
        self.inner.call(Request::delete(vec!["object", checked(id)?, "tag"]).query("tag", tag)).await.map(drop)
    }

    /// The attributes of an object, one for each value. A server without attributes gives its metakeys.
    ///
    /// ```no_run
    /// # async fn example(mwdb: reporter::mwdb::Client, id: &str) -> Result<(), reporter::mwdb::Error> {
    /// mwdb.add_attribute(id, "feed", &serde_json::json!({"name": "demo"}).into()).await?;
    /// let feeds = mwdb.attributes(id).await?.into_iter().filter(|attribute| attribute.key == "feed");
    /// assert_eq!(feeds.count(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When MWDB does not tell.
    pub async fn attributes(&self, id: &str) -> Result<Vec<Attribute>, Error> {
        let id = checked(id)?;
        let newer = self.server_version().await?.has_rich_uploads();
        let [attributes, metakeys] = ["attribute", "meta"].map(|what| Request::get(vec!["object", id, what]));
        let answer = self.inner.newer_or_older(newer, attributes, metakeys).await?;
        let items = answer.get("attributes").or_else(|| answer.get("metakeys"));
        list_of(items, Attribute::from_value).ok_or_else(|| bad_answer("GET attributes", "it has neither `attributes` nor `metakeys`"))
    }

    /// Adds one value under a key; no change when the object has it. A server without attributes
    /// gets a metakey, whose values are text.
    ///
    /// # Errors
    /// When MWDB refuses, or knows no such key.
    pub async fn add_attribute(&self, id: &str, key: &str, value: &Value) -> Result<(), Error> {
        let id = checked(id)?;
        let newer = self.server_version().await?.has_rich_uploads();
        let request =
            |what, value: Value| Request::post(vec!["object", id, what], Body::Json(object([("key", key.into()), ("value", value)])));
        let attribute = request("attribute", value.clone());
        self.inner.newer_or_older(newer, attribute, request("meta", metakey_text(value).into())).await.map(drop)
    }

    /// Removes one value, by the number that [`Client::attributes`] tells.
    ///
    /// # Errors
    /// When there is none, or MWDB refuses.
    pub async fn remove_attribute(&self, id: &str, attribute: i64) -> Result<(), Error> {
        let number = attribute.to_string();
        self.inner.call(Request::delete(vec!["object", checked(id)?, "attribute", &number])).await.map(drop)
    }

    /// The comments on an object.
    ///
    /// # Errors
    /// When MWDB does not tell.
    pub async fn comments(&self, id: &str) -> Result<Vec<Comment>, Error> {
        let request = Request::get(vec!["object", checked(id)?, "comment"]);
        let action = request.action();
        let answer = self.inner.call(request).await?;
        list_of(Some(&answer), Comment::from_value).ok_or_else(|| bad_answer(&action, "it is no list of comments"))
    }

    /// Comments on an object, also when the same was said before. It is not repeated when the
    /// connection breaks, because it may have arrived: [`Client::ensure_comments`] finds out.
    ///
    /// # Errors
    /// When MWDB refuses, or it is not known whether the comment arrived.
    pub async fn add_comment(&self, id: &str, comment: &str) -> Result<(), Error> {
        let body = Body::Json(object([("comment", comment.into())]));
        self.inner.call(Request::post(vec!["object", checked(id)?, "comment"], body).only_once()).await.map(drop)
    }

    /// Makes those comments on an object that nobody has made yet, and tells how many those were.
    /// After a failure it looks again, so that none is made twice.
    ///
    /// ```no_run
    /// # async fn example(mwdb: reporter::mwdb::Client, id: &str) -> Result<(), reporter::mwdb::Error> {
    /// mwdb.ensure_comments(id, &["seen in the wild".to_owned()]).await?;
    /// assert_eq!(mwdb.ensure_comments(id, &["seen in the wild".to_owned()]).await?, 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When MWDB refuses.
    pub async fn ensure_comments(&self, id: &str, comments: &[String]) -> Result<usize, Error> {
        let mut waiter = self.waiter();
        let mut made = 0;
        'look: loop {
            let mut present: Vec<String> = self.comments(id).await?.into_iter().map(|comment| comment.text).collect();
            for comment in comments {
                if present.contains(comment) {
                    continue;
                }
                match self.add_comment(id, comment).await {
                    Ok(()) => {
                        made += 1;
                        present.push(comment.clone());
                    }
                    // Looking again waits for a server that is away; what fails beside it is counted.
                    Err(error) if error.is_temporary() && waiter.may_repeat(std::future::ready(false)).await => {
                        waiter.pause(&error).await.map_err(|_| Error::new("POST comment", Problem::Stopped))?;
                        continue 'look;
                    }
                    Err(error) => return Err(error),
                }
            }
            waiter.over();
            return Ok(made);
        }
    }

    /// Removes a comment, by the number that [`Client::comments`] tells.
    ///
    /// # Errors
    /// When there is none, or MWDB refuses.
    pub async fn remove_comment(&self, id: &str, comment: i64) -> Result<(), Error> {
        let number = comment.to_string();
        self.inner.call(Request::delete(vec!["object", checked(id)?, "comment", &number])).await.map(drop)
    }

    /// With whom an object is shared, as far as we see it.
    ///
    /// # Errors
    /// When MWDB does not tell.
    pub async fn shares(&self, id: &str) -> Result<Vec<Share>, Error> {
        let request = Request::get(vec!["object", checked(id)?, "share"]);
        let action = request.action();
        let answer = self.inner.call(request).await?;
        list_of(answer.get("shares"), Share::from_value).ok_or_else(|| bad_answer(&action, "it has no `shares`"))
    }

    /// Shares an object with a group; no change when it is.
    ///
    /// # Errors
    /// When there is no such group, or MWDB refuses.
    pub async fn share_with(&self, id: &str, group: &str) -> Result<(), Error> {
        let body = Body::Json(object([("group", group.into())]));
        self.inner.call(Request::put(vec!["object", checked(id)?, "share"], body)).await.map(drop)
    }

    /// The ten newest analyses of an object and what they add up to.
    ///
    /// ```no_run
    /// # async fn example(mwdb: reporter::mwdb::Client, id: &str) -> Result<(), reporter::mwdb::Error> {
    /// while mwdb.analyses(id).await?.status == "running" {
    ///     tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When MWDB does not tell, or is older than 2.3.
    pub async fn analyses(&self, id: &str) -> Result<Analyses, Error> {
        let request = Request::get(vec!["object", checked(id)?, "karton"]);
        let action = request.action();
        let answer = self.inner.call(request).await?;
        Analyses::from_answer(&answer).ok_or_else(|| bad_answer(&action, "it has no `status` and `analyses`"))
    }

    /// Makes an object part of an analysis; no change when it is. Servers before 2.3 keep it as a metakey.
    ///
    /// # Errors
    /// When MWDB refuses.
    pub async fn assign_analysis(&self, id: &str, karton_id: &str) -> Result<(), Error> {
        let (id, uid) = (checked(id)?, checked(karton_id)?);
        let newer = self.server_version().await?.has_analyses();
        let metakey = Body::Json(object([("key", "karton".into()), ("value", uid.into())]));
        let assign = Request::put(vec!["object", id, "karton", uid], Body::Empty);
        self.inner.newer_or_older(newer, assign, Request::post(vec!["object", id, "meta"], metakey)).await.map(drop)
    }

    /// Takes an object out of an analysis.
    ///
    /// # Errors
    /// When it is no part of it, or MWDB refuses.
    pub async fn unassign_analysis(&self, id: &str, karton_id: &str) -> Result<(), Error> {
        self.inner.call(Request::delete(vec!["object", checked(id)?, "karton", checked(karton_id)?])).await.map(drop)
    }

    /// Sends an object through Karton once more. It is not repeated when the connection breaks.
    ///
    /// # Errors
    /// When MWDB refuses, or it is not known whether the analysis was started.
    pub async fn reanalyze(&self, id: &str) -> Result<Analysis, Error> {
        let request = Request::post(vec!["object", checked(id)?, "karton"], Body::Json(object([]))).only_once();
        let action = request.action();
        let answer = self.inner.call(request).await?;
        Analysis::from_value(&answer).ok_or_else(|| bad_answer(&action, "it is no analysis"))
    }
}

/// Metakeys hold text only.
pub(crate) fn metakey_text(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => value.to_json(),
        scalar => python_text(scalar),
    }
}
