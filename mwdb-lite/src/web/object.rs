//! The page of an object.

use std::sync::Arc;

use karton_rs::json::Value;
use rocket::{Route, State, get, http::ContentType};
use tokio::io::AsyncReadExt;

use super::{
    respond::{Page, PageResult},
    session::{self, Session},
    shown,
    view::{
        frame::Section,
        object::{AnalysisBox, AttributeKey, Content, HexLine, ObjectPage, RemovePage, Rights},
        parts::Kind as Shown,
    },
};
use crate::{
    api::{download::Download, params::Hash},
    auth::{Caller, Capability},
    error::{ApiError, ApiResult},
    objects::{Kind, access, analyses, comments, definitions, shares, views},
    state::App,
};

/// How much of a file is shown.
const PREVIEW: usize = 512;

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![file, config, blob, object, download_file, download_config, download_blob, remove]
}

#[get("/file/<hash>")]
async fn file(hash: Hash, session: Session, app: &State<App>) -> PageResult {
    page(app, session, Some(Kind::File), hash).await
}

#[get("/config/<hash>")]
async fn config(hash: Hash, session: Session, app: &State<App>) -> PageResult {
    page(app, session, Some(Kind::Config), hash).await
}

#[get("/blob/<hash>")]
async fn blob(hash: Hash, session: Session, app: &State<App>) -> PageResult {
    page(app, session, Some(Kind::Blob), hash).await
}

#[get("/object/<hash>")]
async fn object(hash: Hash, session: Session, app: &State<App>) -> PageResult {
    page(app, session, None, hash).await
}

fn section(kind: Shown) -> Section {
    match kind {
        Shown::File => Section::Files,
        Shown::Config => Section::Configs,
        Shown::Blob => Section::Blobs,
    }
}

async fn page(app: &App, session: Session, kind: Option<Kind>, hash: Hash) -> PageResult {
    // One snapshot: what the page shows belongs together.
    let (object, talk, access_list, keys, meanings) = app
        .look(&session.0, move |c, caller| {
            let row = access::find(c, caller, kind, &hash.0)?;
            let detail = views::detail(c, caller, &row)?;
            let talk = comments::list(c, caller, None, &row.dhash)?;
            let access_list = shares::list(c, caller, None, &row.dhash)?;
            let keys = definitions::list(c, caller, definitions::Access::Set)?;
            let meanings = definitions::list(c, caller, definitions::Access::Read)?;
            let answers = (shown::answer(&detail)?, shown::answer(&talk)?, shown::answer(&access_list)?);
            Ok((answers.0, answers.1, answers.2, shown::answer(&keys)?, shown::answer(&meanings)?))
        })
        .await?;
    let id = shown::text(&object, "id");
    let kind = shown::kind(&object);
    let caller = &session.0;
    let has = |capability| caller.has(capability);
    Page::new(&ObjectPage {
        frame: session::frame(app, Some(caller), section(kind)),
        kind,
        title: shown::title(&object),
        details: shown::details(&object),
        content: match kind {
            Shown::File => preview(app, &id).await?,
            _ => shown::content(&object),
        },
        favorite: object.get("favorite").and_then(Value::as_bool).unwrap_or(false),
        tags: shown::tags(&object),
        attributes: shown::attributes(&object, &meanings, has(Capability::RemovingAttributes)),
        attribute_keys: attribute_keys(&keys),
        comments: shown::comments(&talk),
        parents: shown::references(&object, "parents"),
        children: shown::references(&object, "children"),
        shares: shown::shares(&access_list, &id),
        groups: shown::list(&access_list, "groups").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        analyses: analysis_box(app, caller, &id).await?,
        rights: Rights {
            add_tags: has(Capability::AddingTags),
            remove_tags: has(Capability::RemovingTags),
            add_comments: has(Capability::AddingComments),
            remove_comments: has(Capability::RemovingComments),
            add_parents: has(Capability::AddingParents),
            remove_parents: has(Capability::RemovingParents),
            remove_objects: has(Capability::RemovingObjects),
            personalize: has(Capability::Personalize),
            upload_child: has(Capability::AddingFiles) && has(Capability::AddingParents),
        },
        id,
    })
}

/// The first bytes of a file.
async fn preview(app: &App, sha256: &str) -> ApiResult<Content> {
    // Without content the rest of the page is still worth showing; `check` and downloads tell of it.
    let Some(found) = app.store.find(sha256).await? else { return Ok(Content::None) };
    let length = found.size.min(PREVIEW as u64 + 1);
    let mut bytes = Vec::with_capacity(PREVIEW + 1);
    found.read(0, length).await?.read_to_end(&mut bytes).await?;
    let whole = bytes.len() <= PREVIEW;
    bytes.truncate(PREVIEW);
    let lines = bytes.chunks(16).zip((0..).step_by(16)).map(|(bytes, offset)| HexLine { offset, bytes: bytes.to_vec() });
    Ok(Content::Hex { lines: lines.collect(), whole })
}

fn attribute_keys(keys: &Value) -> Vec<AttributeKey> {
    let key = |definition: &Value| AttributeKey { key: shown::text(definition, "key"), label: shown::text(definition, "label").into() };
    keys.as_array().unwrap_or_default().iter().map(key).collect()
}

/// The analyses of an object as they are now. Without an answer of Karton the box says so.
pub(super) async fn analysis_box(app: &App, caller: &Arc<Caller>, id: &str) -> ApiResult<AnalysisBox> {
    let hash = id.to_owned();
    let rows = app.look(caller, move |c, caller| Ok(analyses::page(c, caller, None, &hash, None)?.newest)).await?;
    let known: Vec<shown::KnownAnalysis> = rows.iter().map(shown::KnownAnalysis::from).collect();
    let rights = (app.karton.is_enabled(), caller.has(Capability::KartonReanalyze));
    match app.karton.describe(rows).await {
        Ok(items) => Ok(shown::analyses(id, &known, &shown::answer(&items)?, rights)),
        Err(ApiError::Unavailable(_)) => Ok(AnalysisBox { unreachable: true, ..shown::analyses(id, &known, &Value::default(), rights) }),
        Err(error) => Err(error),
    }
}

#[get("/file/<hash>/download")]
async fn download_file(hash: Hash, session: Session, app: &State<App>) -> PageResult<Download> {
    let sha256 = app.look(&session.0, move |c, caller| Ok(access::find(c, caller, Some(Kind::File), &hash.0)?.dhash)).await?;
    Ok(Download::open(app, sha256, None, false).await?)
}

#[get("/config/<hash>/download")]
async fn download_config(hash: Hash, session: Session, app: &State<App>) -> PageResult<(ContentType, String)> {
    let object = typed(app, session, Kind::Config, hash).await?;
    Ok((ContentType::JSON, object.get("cfg").map(shown::indented).unwrap_or_default()))
}

#[get("/blob/<hash>/download")]
async fn download_blob(hash: Hash, session: Session, app: &State<App>) -> PageResult<(ContentType, String)> {
    let object = typed(app, session, Kind::Blob, hash).await?;
    // Not as HTML, whatever it holds.
    Ok((ContentType::Binary, shown::text(&object, "content")))
}

async fn typed(app: &App, session: Session, kind: Kind, hash: Hash) -> ApiResult<Value> {
    app.look(&session.0, move |c, caller| {
        let row = access::find(c, caller, Some(kind), &hash.0)?;
        shown::answer(&views::detail(c, caller, &row)?)
    })
    .await
}

#[get("/object/<hash>/remove")]
async fn remove(hash: Hash, session: Session, app: &State<App>) -> PageResult {
    session.require(Capability::RemovingObjects)?;
    let object = app
        .look(&session.0, move |c, caller| {
            let row = access::find(c, caller, None, &hash.0)?;
            shown::answer(&views::detail(c, caller, &row)?)
        })
        .await?;
    let kind = shown::kind(&object);
    Page::new(&RemovePage {
        frame: session::frame(app, Some(&session), section(kind)),
        kind,
        id: shown::text(&object, "id"),
        title: shown::title(&object),
    })
}
