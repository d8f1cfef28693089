//! Objects: looking them up, uploading, downloading, linking, removing. See MWDB API §O1-§O5, §O8, §O12.

use futures::stream;
use karton_rs::json::Value;
use tokio_util::io::StreamReader;

use super::{
    client::{Client, bad_answer, checked},
    content::Reader,
    error::{Error, Problem},
    object::{Download, Object, ObjectType, Relations},
    transport::{Body, Reply, Request, causes},
    upload::{FileUpload, UploadOptions},
};

impl Client {
    /// Looks an object up; nothing when it does not exist or is not visible to us. `object`, `config`
    /// and `blob` take ids only, `file` takes other hashes too.
    ///
    /// # Errors
    /// When MWDB cannot be asked, or has no such call.
    pub async fn query(&self, kind: ObjectType, id: &str) -> Result<Option<Object>, Error> {
        let request = Request::get(vec![kind.as_str(), checked(id)?]);
        let action = request.action();
        match self.inner.call(request).await {
            Ok(answer) => as_object(&action, answer).map(Some),
            Err(error) if matches!(error.problem(), Problem::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Uploads a file; one that exists takes on what `options` bring. The content is streamed.
    ///
    /// ```no_run
    /// use reporter::mwdb::{Client, FileContent, FileUpload, UploadOptions};
    ///
    /// # async fn example(mwdb: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let content = FileContent::new("/tmp/sample.exe");
    /// let options = UploadOptions { tags: vec!["feed:demo".to_owned()], ..UploadOptions::default() };
    /// let file = mwdb.upload_file(&FileUpload::new("sample.exe", &content), &options).await?;
    /// println!("{}", file.id);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When MWDB refuses it, or the content cannot be read.
    pub async fn upload_file(&self, file: &FileUpload<'_>, options: &UploadOptions) -> Result<Object, Error> {
        let body = Body::File { upload: file, options: options.to_map().into() };
        as_object("POST file", self.inner.call(Request::post(vec!["file"], body)).await?)
    }

    /// Uploads a config; one that exists takes on what `options` bring.
    ///
    /// # Errors
    /// When MWDB refuses it.
    pub async fn upload_config(&self, family: &str, config_type: &str, cfg: &Value, options: &UploadOptions) -> Result<Object, Error> {
        let mut body = options.to_map();
        body.insert("family".to_owned(), family.into());
        body.insert("config_type".to_owned(), config_type.into());
        body.insert("cfg".to_owned(), cfg.clone());
        as_object("POST config", self.inner.call(Request::post(vec!["config"], Body::Json(body.into()))).await?)
    }

    /// Uploads a text; one that exists takes on what `options` bring.
    ///
    /// # Errors
    /// When MWDB refuses it.
    pub async fn upload_blob(&self, name: &str, blob_type: &str, content: &str, options: &UploadOptions) -> Result<Object, Error> {
        let mut body = options.to_map();
        body.insert("blob_name".to_owned(), name.into());
        body.insert("blob_type".to_owned(), blob_type.into());
        body.insert("content".to_owned(), content.into());
        as_object("POST blob", self.inner.call(Request::post(vec!["blob"], Body::Json(body.into()))).await?)
    }

    /// Opens the content of a file, named by any of its hashes. It is streamed, and an error of the
    /// reader tells a connection that broke or fell silent.
    ///
    /// ```no_run
    /// # async fn example(mwdb: reporter::mwdb::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut download = mwdb.download("d41d8cd98f00b204e9800998ecf8427e").await?;
    /// let mut file = tokio::fs::File::create("/tmp/sample").await?;
    /// tokio::io::copy(&mut download.reader, &mut file).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When there is no such file, or MWDB refuses.
    pub async fn download(&self, id: &str) -> Result<Download, Error> {
        let direct = Request::get(vec!["file", checked(id)?, "download"]).for_content();
        let (action, reply) = match self.inner.reply(&direct).await {
            // Servers before 2.2 give a link first.
            Err(error) if matches!(error.problem(), Problem::EndpointNotFound(_)) => {
                let link = Request::post(vec!["request", "sample", checked(id)?], Body::Empty);
                let action = link.action();
                let answer = self.inner.call(link).await?;
                let token = answer.get("url").and_then(Value::as_str).and_then(|url| url.rsplit('/').next());
                let token = token.filter(|token| !token.is_empty() && !token.starts_with('.'));
                let request = Request::get(vec!["download", token.ok_or_else(|| bad_answer(&action, "it has no `url`"))?]).for_content();
                // The token is a secret of a minute: messages tell of the file.
                (direct.action(), self.inner.reply(&request).await?)
            }
            answered => (direct.action(), answered?),
        };
        let Reply::Content(response) = reply else { return Err(bad_answer(&action, "it is no content")) };
        let (size, idle) = (response.content_length(), self.inner.idle());
        let pieces = stream::try_unfold(response, move |mut response| async move {
            match tokio::time::timeout(idle, response.chunk()).await {
                Ok(Ok(piece)) => Ok(piece.map(|piece| (piece, response))),
                Ok(Err(error)) => Err(std::io::Error::other(causes(error))),
                Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, format!("nothing came for {} s", idle.as_secs_f32()))),
            }
        });
        let reader: Reader = Box::new(StreamReader::new(Box::pin(pieces)));
        Ok(Download { size, reader })
    }

    /// Removes an object; nothing happens when it does not exist or is not visible to us.
    ///
    /// # Errors
    /// When MWDB refuses.
    pub async fn remove(&self, kind: ObjectType, id: &str) -> Result<(), Error> {
        match self.inner.call(Request::delete(vec![kind.as_str(), checked(id)?])).await {
            Err(error) if !matches!(error.problem(), Problem::NotFound(_)) => Err(error),
            _ => Ok(()),
        }
    }

    /// The parents and children of an object, as far as we see them; at most 100 of each kind.
    ///
    /// ```no_run
    /// # async fn example(mwdb: reporter::mwdb::Client, id: &str) -> Result<(), reporter::mwdb::Error> {
    /// for child in mwdb.relations(id).await?.children {
    ///     println!("{} {:?}", child.id, child.tags);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When there is no such object, or MWDB does not tell.
    pub async fn relations(&self, id: &str) -> Result<Relations, Error> {
        let request = Request::get(vec!["object", checked(id)?, "relations"]);
        let action = request.action();
        let answer = self.inner.call(request).await?;
        Relations::from_answer(&answer).ok_or_else(|| bad_answer(&action, "it has no `parents` and `children`"))
    }

    /// Makes `child` a child of `parent`; no change when it is.
    ///
    /// # Errors
    /// When one of them does not exist, or MWDB refuses.
    pub async fn add_child(&self, parent: &str, child: &str) -> Result<(), Error> {
        let path = vec!["object", checked(parent)?, "child", checked(child)?];
        self.inner.call(Request::put(path, Body::Empty)).await.map(drop)
    }

    /// Ends the relation of `parent` and `child`; no change when there is none.
    ///
    /// # Errors
    /// When one of them does not exist, or MWDB refuses.
    pub async fn remove_child(&self, parent: &str, child: &str) -> Result<(), Error> {
        self.inner.call(Request::delete(vec!["object", checked(parent)?, "child", checked(child)?])).await.map(drop)
    }
}

fn as_object(action: &str, answer: Value) -> Result<Object, Error> {
    Object::from_answer(answer).ok_or_else(|| bad_answer(action, "it is no object with an `id`"))
}
