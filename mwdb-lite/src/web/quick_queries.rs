//! Saved searches on the lists: the quick queries of MWDB API §O13, kept for each type of object.
//!
//! The one rule: a form carries the query encoded, so that no character of it is lost, and leads back
//! to the list that it came from.

use rocket::{Route, State, post};

use super::{
    form::Form,
    notices::Done,
    respond::{PageResult, SeeOther, see_other},
    session::{Actor, Session},
    view::{
        recent::{SavedQuery, list_of, results},
        text::decode_field,
    },
};
use crate::{
    auth::Capability,
    db::accounts as db,
    error::{ApiError, ApiResult},
    objects::{Kind, text::HAS_NUL},
    search::fields,
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![save, remove]
}

/// The searches that everybody has, then the account's own.
pub(super) async fn of(app: &App, session: &Session, kind: Option<Kind>) -> ApiResult<Vec<SavedQuery>> {
    let login = &session.login;
    let everybody = [
        ("My uploads", format!("uploader:\"{login}\"")),
        ("Favourites", format!("favorites:\"{login}\"")),
        ("Not public", "NOT shared:\"public\"".to_owned()),
        ("Not from feeds", "NOT tag:\"feed:*\"".to_owned()),
        ("Ripped", "tag:\"ripped:*\"".to_owned()),
    ];
    let mut saved: Vec<_> = everybody.into_iter().map(|(name, query)| SavedQuery { id: None, name: name.into(), query }).collect();
    let own = app.look(&session.0, move |c, caller| Ok(db::quick_queries(c, caller.id, fields::word_of(kind))?)).await?;
    saved.extend(own.into_iter().map(|row| SavedQuery { id: Some(row.id), name: row.name.into(), query: row.query }));
    Ok(saved)
}

/// What both forms carry: the list, as word and address, and the query on show.
fn place(form: &Form) -> ApiResult<(&'static str, &'static str, String)> {
    let (word, path) = list_of(form.text("list")).ok_or_else(|| ApiError::BadRequest("There is no such list.".to_owned()))?;
    let query = decode_field(form.text("query")).ok_or_else(|| ApiError::BadRequest("This is no query of the page.".to_owned()))?;
    Ok((word, path, query))
}

#[post("/query", data = "<form>")]
async fn save(actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::Personalize)?;
    let (word, path, query) = place(&form)?;
    let name = form.text("name").trim().to_owned();
    // What it holds is seen only here: the form carries it encoded.
    if query.contains('\0') {
        return Err(ApiError::BadRequest(HAS_NUL.to_owned()).into());
    }
    if name.is_empty() || query.is_empty() {
        return Err(ApiError::BadRequest("A saved search needs a name and a query.".to_owned()).into());
    }
    let back = see_other(results(path, &query)).telling(Done::SearchSaved);
    app.change(&actor.0, move |c, caller| Ok(db::insert_quick_query(c, caller.id, word, &name, &query)?)).await?;
    Ok(back)
}

#[post("/query/<id>/remove", data = "<form>")]
async fn remove(id: i64, actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::Personalize)?;
    let (_, path, query) = place(&form)?;
    if !app.change(&actor.0, move |c, caller| Ok(db::delete_quick_query(c, caller.id, id)?)).await? {
        return Err(ApiError::NotFound("There is no such saved search of yours.".to_owned()).into());
    }
    Ok(see_other(results(path, &query)).telling(Done::SearchRemoved))
}
