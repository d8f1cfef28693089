//! The lists, and finding an object by its hash.

use std::sync::Arc;

use rocket::{Route, State, get, http::Status};

use super::{
    pasted, quick_queries,
    respond::{Page, PageResult, SeeOther, error_page, message, see_other},
    session::Session,
    shown,
    view::{
        frame::{Notice, Section},
        recent::{Found, Place, Problem, RecentPage, results},
        search_help::{HelpField, HelpGroup, HelpPage},
    },
};
use crate::{
    auth::Capability,
    error::{ApiError, ApiResult},
    objects::{Kind, access, listing},
    search::fields,
    state::App,
};

/// Objects of one page.
const ROWS: u64 = 25;

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![files, configs, blobs, objects, find, help]
}

/// What the address of a list says: the query, the object that the page comes after, pages after that.
#[derive(rocket::FromForm)]
struct Wanted {
    query: Option<String>,
    older: Option<String>,
    page: Option<u32>,
}

#[get("/?<wanted..>")]
async fn files(wanted: Wanted, session: Session, app: &State<App>) -> PageResult {
    list(app, session, Section::Files, Some(Kind::File), wanted).await
}

#[get("/configs?<wanted..>")]
async fn configs(wanted: Wanted, session: Session, app: &State<App>) -> PageResult {
    list(app, session, Section::Configs, Some(Kind::Config), wanted).await
}

#[get("/blobs?<wanted..>")]
async fn blobs(wanted: Wanted, session: Session, app: &State<App>) -> PageResult {
    list(app, session, Section::Blobs, Some(Kind::Blob), wanted).await
}

#[get("/objects?<wanted..>")]
async fn objects(wanted: Wanted, session: Session, app: &State<App>) -> PageResult {
    list(app, session, Section::All, None, wanted).await
}

async fn list(app: &App, session: Session, section: Section, kind: Option<Kind>, wanted: Wanted) -> PageResult {
    let query = wanted.query.unwrap_or_default().trim().to_owned();
    let query = pasted::query(&query, kind).unwrap_or(query);
    let mut at = match (wanted.older, wanted.page) {
        (Some(after), page) if !after.is_empty() => Place::After { after, page: page.unwrap_or(0) },
        _ => Place::Top,
    };
    let mut frame = session.frame(app, section);
    let (before, offset) = match &at {
        Place::Top => (None, 0),
        Place::After { after, page } => match app.row(&session.0, Some(after.clone())).await {
            Ok(before) => (before, u64::from(*page) * ROWS),
            // Nothing says any more where it stood.
            Err(ApiError::NotFound(_)) => {
                let text = "The object that this page began after was removed. These are the newest.".into();
                frame.notice = Some(Notice { good: false, text });
                at = Place::Top;
                (None, 0)
            }
            Err(error) => return Err(error.into()),
        },
    };
    // One more than is shown tells whether there is another page.
    let page = listing::Page { query: query.clone(), before, offset, count: ROWS + 1 };
    let found = app.list(&session.0, &query, move |c, caller| {
        let counted = if page.query.is_empty() { None } else { Some(listing::count_some(c, caller, kind, &page.query)?) };
        // Left out where they are found: a list of objects with thousands of tags would be read as JSON before.
        let items = listing::list(c, caller, kind, &page)?.into_iter().map(|item| item.with_few_tags(shown::MOST_TAGS));
        Ok((counted, items.collect::<Vec<_>>()))
    });
    let saved = quick_queries::of(app, &session, kind).await?;
    let can_save = session.has(Capability::Personalize);
    let (counted, items) = match found.await {
        Ok(found) => found,
        Err(ApiError::Query(error)) => {
            let problem = Some(Problem::new(&query, &error.to_string(), error.span()));
            let page = RecentPage { frame, query, saved, can_save, problem, found: None, rows: Vec::new(), at: Place::Top, older: None };
            return Page::with_status(&page, Status::BadRequest);
        }
        Err(error) => return Err(error.into()),
    };
    let answer = shown::answer(&items)?;
    let items = answer.as_array().unwrap_or_default();
    let shown_rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let within: Arc<str> = query.as_str().into();
    let rows: Vec<_> = items.iter().take(shown_rows).map(|item| shown::row(item, kind.is_some(), &within)).collect();
    let older = rows.last().filter(|_| items.len() > shown_rows).map(|last| at.next(&last.id));
    let found = counted.map(|counted| Found { count: counted.count, exact: counted.exact });
    Page::new(&RecentPage { frame, query, saved, can_save, problem: None, found, rows, at, older })
}

/// The query language, out of the table that it is compiled by.
#[get("/help/search")]
fn help(session: Session, app: &State<App>) -> PageResult {
    let groups = [(None, "All objects"), (Some(Kind::File), "Files"), (Some(Kind::Config), "Configs"), (Some(Kind::Blob), "Blobs")];
    let field = |field: &'static fields::Field| HelpField {
        name: match field.of {
            Some(kind) => format!("{}.{}", fields::word_of(Some(kind)), field.name),
            None => field.name.to_owned(),
        },
        alias: field.alias,
        about: field.about,
        values: field.form.values(),
        examples: field.examples,
    };
    let groups = groups
        .into_iter()
        .map(|(of, title)| HelpGroup { title, fields: fields::FIELDS.iter().filter(|known| known.of == of).map(field).collect() });
    Page::new(&HelpPage { frame: session.frame(app, Section::None), groups: groups.collect() })
}

/// Where to look, for what was typed into the box of the title bar. What was refused stays in it.
#[get("/find?<hash>")]
async fn find(hash: &str, session: Session, app: &State<App>) -> PageResult<Result<SeeOther, Page>> {
    match place_of(app, &session, hash.trim()).await {
        Ok(place) => Ok(Ok(see_other(place))),
        Err(error @ (ApiError::BadRequest(_) | ApiError::NotFound(_))) => {
            let mut frame = session.frame(app, Section::None);
            frame.sought = hash.into();
            Ok(Err(Page::with_status(&error_page(frame, error.status(), message(&error)), error.status())?))
        }
        Err(error) => Err(error.into()),
    }
}

async fn place_of(app: &App, session: &Session, typed: &str) -> ApiResult<String> {
    let hash = typed.to_lowercase();
    if !pasted::is_digest(&hash) {
        return Err(ApiError::BadRequest(format!(
            "\u{201c}{typed}\u{201d} is no hash: give a CRC32, MD5, SHA-1, SHA-256, SHA-512 or the id of an object."
        )));
    }
    let missing = || ApiError::NotFound(format!("Nothing that you can see has the hash {typed}."));
    if hash.len() == 8 {
        return with_crc32(app, session, &hash).await?.ok_or_else(missing);
    }
    let found = app.look(&session.0, move |c, caller| {
        // A file is known by all its digests, other objects by their id.
        match access::find(c, caller, Some(Kind::File), &hash) {
            Err(ApiError::NotFound(_)) => access::find(c, caller, None, &hash),
            outcome => outcome,
        }
    });
    let object = found.await.map_err(|error| if matches!(error, ApiError::NotFound(_)) { missing() } else { error })?;
    Ok(format!("/{}/{}", fields::word_of(Some(object.kind)), object.dhash))
}

/// The file with a CRC32, or the list of those that have it: such a digest says little.
async fn with_crc32(app: &App, session: &Session, crc32: &str) -> ApiResult<Option<String>> {
    let Some(query) = pasted::query(crc32, Some(Kind::File)) else { return Ok(None) };
    let page = listing::Page { query: query.clone(), count: 2, ..listing::Page::default() };
    let found = app.search(&session.0, move |c, caller| shown::answer(&listing::list(c, caller, Some(Kind::File), &page)?)).await?;
    Ok(match found.as_array().unwrap_or_default() {
        [] => None,
        [file] => Some(format!("/file/{}", shown::text(file, "id"))),
        _ => Some(results("/", &query)),
    })
}
