//! The lists, and finding an object by its hash.

use rocket::{Route, State, get};

use super::{
    respond::{Page, PageResult, SeeOther, see_other},
    session::{self, Session},
    shown,
    view::{
        frame::Section,
        recent::{Place, RecentPage},
    },
};
use crate::{
    error::ApiError,
    objects::{Kind, access, listing},
    state::App,
};

/// Objects of one page.
const ROWS: u64 = 25;

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![files, configs, blobs, objects, find]
}

#[get("/?<older>&<page>")]
async fn files(older: Option<String>, page: Option<u32>, session: Session, app: &State<App>) -> PageResult {
    list(app, session, Section::Files, Some(Kind::File), (older, page)).await
}

#[get("/configs?<older>&<page>")]
async fn configs(older: Option<String>, page: Option<u32>, session: Session, app: &State<App>) -> PageResult {
    list(app, session, Section::Configs, Some(Kind::Config), (older, page)).await
}

#[get("/blobs?<older>&<page>")]
async fn blobs(older: Option<String>, page: Option<u32>, session: Session, app: &State<App>) -> PageResult {
    list(app, session, Section::Blobs, Some(Kind::Blob), (older, page)).await
}

#[get("/objects?<older>&<page>")]
async fn objects(older: Option<String>, page: Option<u32>, session: Session, app: &State<App>) -> PageResult {
    list(app, session, Section::All, None, (older, page)).await
}

async fn list(app: &App, session: Session, section: Section, kind: Option<Kind>, place: (Option<String>, Option<u32>)) -> PageResult {
    let at = match place {
        (Some(after), page) if !after.is_empty() => Place::After { after, page: page.unwrap_or(0) },
        _ => Place::Top,
    };
    let (older_than, offset) = match &at {
        Place::Top => (None, 0),
        Place::After { after, page } => (Some(after.clone()), u64::from(*page) * ROWS),
    };
    // One more than is shown tells whether there is another page.
    let wanted = listing::Page { query: String::new(), older_than, offset, count: ROWS + 1 };
    let items = app.look(&session.0, move |c, caller| listing::list(c, caller, kind, &wanted)).await?;
    let answer = shown::answer(&items)?;
    let items = answer.as_array().unwrap_or_default();
    let shown_rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let rows: Vec<_> = items.iter().take(shown_rows).map(|item| shown::row(item, kind.is_some())).collect();
    let older = rows.last().filter(|_| items.len() > shown_rows).map(|last| at.next(&last.id));
    Page::new(&RecentPage { frame: session::frame(app, Some(&session), section), rows, at, older })
}

#[get("/find?<hash>")]
async fn find(hash: &str, session: Session, app: &State<App>) -> PageResult<SeeOther> {
    let hash = hash.trim().to_lowercase();
    if !(32..=128).contains(&hash.len()) || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ApiError::BadRequest("This is no hash: give an MD5, SHA-1, SHA-256, SHA-512 or the id of an object.".to_owned()).into());
    }
    let found = app.look(&session.0, move |c, caller| {
        // A file is known by all its digests, other objects by their id.
        match access::find(c, caller, Some(Kind::File), &hash) {
            Err(ApiError::NotFound(_)) => access::find(c, caller, None, &hash),
            outcome => outcome,
        }
    });
    let object = found.await?;
    let word = match object.kind {
        Kind::File => "file",
        Kind::Config => "config",
        Kind::Blob => "blob",
    };
    Ok(see_other(format!("/{word}/{}", object.dhash)))
}
