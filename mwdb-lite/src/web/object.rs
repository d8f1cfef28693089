//! The page of an object.

use std::{collections::BTreeMap, sync::Arc};

use karton_rs::json::Value;
use rocket::{
    Route, State,
    form::{self, FromFormField, ValueField},
    get,
    http::{ContentType, Header},
};

use super::{
    preview::{self, Wanted},
    respond::{self, Page, PageResult},
    session::{Actor, Session},
    shown,
    view::{
        frame::Section,
        object::{AnalysesPage, AnalysisBox, AttributeKey, Draft, ObjectPage, RemovePage, Rights},
        parts::Kind as Shown,
    },
};
use crate::{
    api::{
        download::{Download, Zip},
        params::Hash,
    },
    auth::{Caller, Capability},
    error::{ApiError, ApiResult},
    objects::{Kind, access, analyses, attributes, comments, definitions, shares, views},
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![file, config, blob, object, older_analyses, download_file, download_zip, download_config, download_blob, remove]
}

/// `hidden=1` in an address: hidden attributes are shown, too.
struct Hidden(bool);

impl<'v> FromFormField<'v> for Hidden {
    fn from_value(field: ValueField<'v>) -> form::Result<'v, Self> {
        Ok(Self(field.value == "1"))
    }

    fn default() -> Option<Self> {
        Some(Self(false))
    }
}

#[get("/file/<hash>?<view>&<at>&<hidden>")]
async fn file(hash: Hash, view: Option<&str>, at: Option<u64>, hidden: Hidden, session: Session, app: &State<App>) -> PageResult {
    shown_page(app, session, Some(Kind::File), hash, Wanted::new(view, at), hidden.0).await
}

#[get("/config/<hash>?<hidden>")]
async fn config(hash: Hash, hidden: Hidden, session: Session, app: &State<App>) -> PageResult {
    shown_page(app, session, Some(Kind::Config), hash, Wanted::new(None, None), hidden.0).await
}

#[get("/blob/<hash>?<hidden>")]
async fn blob(hash: Hash, hidden: Hidden, session: Session, app: &State<App>) -> PageResult {
    shown_page(app, session, Some(Kind::Blob), hash, Wanted::new(None, None), hidden.0).await
}

#[get("/object/<hash>?<hidden>")]
async fn object(hash: Hash, hidden: Hidden, session: Session, app: &State<App>) -> PageResult {
    shown_page(app, session, None, hash, Wanted::new(None, None), hidden.0).await
}

async fn shown_page(app: &App, session: Session, kind: Option<Kind>, hash: Hash, wanted: Wanted, hidden: bool) -> PageResult {
    Page::new(&page(app, &session, kind, hash.0, wanted, hidden).await?)
}

/// The page of an object whose form was refused, with what was typed.
pub(super) async fn refused(app: &App, actor: &Actor, id: &str, error: ApiError, draft: Draft) -> PageResult {
    respond::refused(&actor.0, error, |session| async move {
        let page = page(app, &session, None, id.to_owned(), Wanted::new(None, None), false).await?;
        Ok(ObjectPage { draft, ..page })
    })
    .await
}

pub(super) fn section(kind: Shown) -> Section {
    match kind {
        Shown::File => Section::Files,
        Shown::Config => Section::Configs,
        Shown::Blob => Section::Blobs,
    }
}

async fn page(app: &App, session: &Session, kind: Option<Kind>, hash: String, wanted: Wanted, hidden: bool) -> ApiResult<ObjectPage> {
    // The API's rule for its `hidden=1` (MWDB API §O9.2).
    if hidden {
        session.require(Capability::ReadingAllAttributes)?;
    }
    // One snapshot: what the page shows belongs together.
    let (object, values, talk, access_list, keys, meanings) = app
        .look(&session.0, move |c, caller| {
            let row = access::find(c, caller, kind, &hash)?;
            let detail = views::detail(c, caller, &row)?;
            let values = BTreeMap::from([("attributes", attributes::list(c, caller, kind, &row.dhash, hidden)?)]);
            let talk = comments::list(c, caller, None, &row.dhash)?;
            let access_list = shares::list(c, caller, None, &row.dhash)?;
            let keys = definitions::list(c, caller, definitions::Access::Set)?;
            let meanings = definitions::list(c, caller, definitions::Access::Read)?;
            let answers = (shown::answer(&detail)?, shown::answer(&values)?, shown::answer(&talk)?, shown::answer(&access_list)?);
            Ok((answers.0, answers.1, answers.2, answers.3, shown::answer(&keys)?, shown::answer(&meanings)?))
        })
        .await?;
    let id = shown::text(&object, "id");
    let kind = shown::kind(&object);
    let caller = &session.0;
    let has = |capability| caller.has(capability);
    Ok(ObjectPage {
        frame: session.frame(app, section(kind)),
        kind,
        title: shown::title(&object),
        details: shown::details(&object),
        content: match kind {
            Shown::File => preview::content(app, &id, wanted).await,
            _ => shown::content(&object),
        },
        favorite: object.get("favorite").and_then(Value::as_bool).unwrap_or(false),
        tags: shown::tags(&object, kind.list()),
        attributes: shown::attributes(&values, &meanings, has(Capability::RemovingAttributes)),
        hidden,
        attribute_keys: attribute_keys(&keys),
        comments: shown::comments(&talk),
        parents: shown::references(&object, "parents"),
        children: shown::references(&object, "children"),
        shares: shown::shares(&access_list, &id),
        groups: shown::list(&access_list, "groups").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        analyses: analysis_box(app, caller, &id, None).await?,
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
            give_consent: app.config.enable_3rd_party_sharing_consent
                && has(Capability::Modify3rdPartySharing)
                && !shown::shares_3rd_party(&object),
            read_hidden: has(Capability::ReadingAllAttributes),
        },
        draft: Draft::default(),
        id,
    })
}

/// Keys that the viewer may set.
pub(super) fn attribute_keys(keys: &Value) -> Vec<AttributeKey> {
    let key = |definition: &Value| AttributeKey { key: shown::text(definition, "key"), label: shown::text(definition, "label").into() };
    keys.as_array().unwrap_or_default().iter().map(key).collect()
}

/// The analyses of an object as they are now: the newest, or those before one. Without an answer of
/// Karton the box says so.
pub(super) async fn analysis_box(app: &App, caller: &Arc<Caller>, id: &str, older_than: Option<String>) -> ApiResult<AnalysisBox> {
    let hash = id.to_owned();
    let (rows, more) = app.look(caller, move |c, caller| analyses::shown(c, caller, &hash, older_than.as_deref())).await?;
    let known: Vec<shown::KnownAnalysis> = rows.iter().map(shown::KnownAnalysis::from).collect();
    let older = rows.last().filter(|_| more).map(|last| last.id.clone());
    let (items, unreachable) = match app.karton.describe(rows).await {
        Ok(items) => (items, false),
        Err(ApiError::Unavailable(_)) => (Vec::new(), true),
        Err(error) => return Err(error),
    };
    Ok(AnalysisBox {
        object: id.to_owned(),
        karton_enabled: app.karton.is_enabled(),
        can_reanalyze: caller.has(Capability::KartonReanalyze),
        can_unassign: caller.has(Capability::KartonUnassign),
        analyses: shown::analyses(&known, &items)?,
        older,
        unreachable,
    })
}

/// Analyses that the page of the object does not show.
#[get("/object/<hash>/analyses?<older_than>")]
async fn older_analyses(hash: Hash, older_than: Option<String>, session: Session, app: &State<App>) -> PageResult {
    let object = typed(app, &session, None, hash).await?;
    let (kind, id) = (shown::kind(&object), shown::text(&object, "id"));
    Page::new(&AnalysesPage {
        frame: session.frame(app, section(kind)),
        kind,
        title: shown::title(&object),
        analyses: analysis_box(app, &session.0, &id, older_than.filter(|id| !id.is_empty())).await?,
        id,
    })
}

#[get("/file/<hash>/download")]
async fn download_file(hash: Hash, session: Session, app: &State<App>) -> PageResult<Download> {
    Ok(Download::open(app, file_hash(app, &session, hash).await?, None, false).await?)
}

#[get("/file/<hash>/download/zip")]
async fn download_zip(hash: Hash, session: Session, app: &State<App>) -> PageResult<Zip> {
    let account = session.0.id;
    Ok(Zip::open(app, account, file_hash(app, &session, hash).await?).await?.with_ending())
}

async fn file_hash(app: &App, session: &Session, hash: Hash) -> ApiResult<String> {
    app.look(&session.0, move |c, caller| Ok(access::find(c, caller, Some(Kind::File), &hash.0)?.dhash)).await
}

/// Text to be saved under a name, never to be shown by the browser: it may be HTML.
#[derive(rocket::Responder)]
struct Saved {
    text: String,
    content_type: ContentType,
    disposition: Header<'static>,
}

impl Saved {
    fn new(content_type: ContentType, name: String, text: String) -> Self {
        Self { text, content_type, disposition: Header::new("Content-Disposition", format!("attachment; filename={name}")) }
    }
}

#[get("/config/<hash>/download")]
async fn download_config(hash: Hash, session: Session, app: &State<App>) -> PageResult<Saved> {
    let object = typed(app, &session, Some(Kind::Config), hash).await?;
    let text = object.get("cfg").map(shown::indented).unwrap_or_default();
    Ok(Saved::new(ContentType::JSON, format!("{}.json", shown::text(&object, "id")), text))
}

#[get("/blob/<hash>/download")]
async fn download_blob(hash: Hash, session: Session, app: &State<App>) -> PageResult<Saved> {
    let object = typed(app, &session, Some(Kind::Blob), hash).await?;
    Ok(Saved::new(ContentType::Binary, format!("{}.txt", shown::text(&object, "id")), shown::text(&object, "content")))
}

/// An object as the API would give it.
pub(super) async fn typed(app: &App, session: &Session, kind: Option<Kind>, hash: Hash) -> ApiResult<Value> {
    app.look(&session.0, move |c, caller| {
        let row = access::find(c, caller, kind, &hash.0)?;
        shown::answer(&views::detail(c, caller, &row)?)
    })
    .await
}

#[get("/object/<hash>/remove")]
async fn remove(hash: Hash, session: Session, app: &State<App>) -> PageResult {
    session.require(Capability::RemovingObjects)?;
    let object = typed(app, &session, None, hash).await?;
    let kind = shown::kind(&object);
    Page::new(&RemovePage { frame: session.frame(app, section(kind)), kind, id: shown::text(&object, "id"), title: shown::title(&object) })
}
