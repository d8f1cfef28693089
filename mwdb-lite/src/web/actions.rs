//! What the forms of an object's page do. Each ends with the page anew.

use karton_rs::json::{Map, Value};
use rocket::{Route, State, post};

use super::{
    form::Form,
    respond::{PageResult, SeeOther, see_other},
    session::Actor,
    view::text::decode_field,
};
use crate::{
    api::params::Hash,
    auth::{Capability, is_name},
    error::ApiError,
    objects::{analyses, attributes, comments, favorites, relations, remove, shares, tags},
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![
        add_tag,
        remove_tag,
        add_comment,
        remove_comment,
        add_attribute,
        remove_attribute,
        add_relation,
        remove_parent,
        remove_child,
        share,
        add_favorite,
        remove_favorite,
        reanalyze,
        remove_object
    ]
}

fn back(hash: &str, place: &str) -> SeeOther {
    see_other(format!("/object/{hash}{place}"))
}

#[post("/object/<hash>/tag", data = "<form>")]
async fn add_tag(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::AddingTags)?;
    let tag = tags::normalise(form.text("tag"))?;
    let id = hash.0.clone();
    app.change(&actor.0, move |c, caller| tags::add(c, caller, None, &hash.0, &tag).map(drop)).await?;
    Ok(back(&id, ""))
}

#[post("/object/<hash>/tag/remove", data = "<form>")]
async fn remove_tag(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::RemovingTags)?;
    // Encoded in the page, so that no character of it is lost in a form field.
    let tag = decode_field(form.text("tag")).ok_or_else(|| ApiError::BadRequest("This is no tag of the page.".to_owned()))?;
    let tag = tags::normalise(&tag)?;
    let id = hash.0.clone();
    app.change(&actor.0, move |c, caller| tags::remove(c, caller, None, &hash.0, &tag).map(drop)).await?;
    Ok(back(&id, ""))
}

#[post("/object/<hash>/comment", data = "<form>")]
async fn add_comment(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::AddingComments)?;
    let comment = form.lines("comment");
    if comment.trim().is_empty() {
        return Err(ApiError::BadRequest("The comment is empty.".to_owned()).into());
    }
    let id = hash.0.clone();
    app.change(&actor.0, move |c, caller| comments::add(c, caller, None, &hash.0, comment).map(drop)).await?;
    Ok(back(&id, "#comments"))
}

#[post("/object/<hash>/comment/<comment>/remove")]
async fn remove_comment(hash: Hash, comment: i64, actor: Actor, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::RemovingComments)?;
    let id = hash.0.clone();
    app.change(&actor.0, move |c, caller| comments::remove(c, caller, None, &hash.0, comment)).await?;
    Ok(back(&id, "#comments"))
}

#[post("/object/<hash>/attribute", data = "<form>")]
async fn add_attribute(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let key = attributes::normalise_key(form.text("key"))?;
    let value = form.lines("value");
    let value = if form.ticked("json") {
        Value::parse(&value).map_err(|error| ApiError::BadRequest(format!("The value is not JSON: {error}")))?
    } else {
        Value::from(value)
    };
    attributes::check_value(&value)?;
    let id = hash.0.clone();
    app.change(&actor.0, move |c, caller| attributes::add(c, caller, None, &hash.0, &key, &value).map(drop)).await?;
    Ok(back(&id, "#attributes"))
}

#[post("/object/<hash>/attribute/<attribute>/remove")]
async fn remove_attribute(hash: Hash, attribute: i64, actor: Actor, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::RemovingAttributes)?;
    let id = hash.0.clone();
    app.change(&actor.0, move |c, caller| attributes::remove(c, caller, None, &hash.0, attribute)).await?;
    Ok(back(&id, "#attributes"))
}

#[post("/object/<hash>/relation", data = "<form>")]
async fn add_relation(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::AddingParents)?;
    let (own, other) = (hash.0.clone(), form.text("other").trim().to_lowercase());
    let (parent, child) = if form.text("role") == "child" { (other, own) } else { (own, other) };
    app.change(&actor.0, move |c, caller| relations::add(c, caller, None, &parent, &child)).await?;
    Ok(back(&hash.0, ""))
}

#[post("/object/<hash>/parent/remove", data = "<form>")]
async fn remove_parent(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::RemovingParents)?;
    let (parent, child) = (form.text("other").to_owned(), hash.0.clone());
    app.change(&actor.0, move |c, caller| relations::remove(c, caller, None, &parent, &child)).await?;
    Ok(back(&hash.0, ""))
}

#[post("/object/<hash>/child/remove", data = "<form>")]
async fn remove_child(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::RemovingParents)?;
    let (parent, child) = (hash.0.clone(), form.text("other").to_owned());
    app.change(&actor.0, move |c, caller| relations::remove(c, caller, None, &parent, &child)).await?;
    Ok(back(&hash.0, ""))
}

#[post("/object/<hash>/share", data = "<form>")]
async fn share(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let group = form.text("group").to_owned();
    if !is_name(&group) {
        return Err(ApiError::BadRequest("This is no name of a group.".to_owned()).into());
    }
    let id = hash.0.clone();
    app.change(&actor.0, move |c, caller| shares::share(c, caller, None, &hash.0, &group).map(drop)).await?;
    Ok(back(&id, "#shares"))
}

#[post("/object/<hash>/favorite")]
async fn add_favorite(hash: Hash, actor: Actor, app: &State<App>) -> PageResult<SeeOther> {
    set_favorite(hash, actor, app, true).await
}

#[post("/object/<hash>/favorite/remove")]
async fn remove_favorite(hash: Hash, actor: Actor, app: &State<App>) -> PageResult<SeeOther> {
    set_favorite(hash, actor, app, false).await
}

async fn set_favorite(hash: Hash, actor: Actor, app: &App, favorite: bool) -> PageResult<SeeOther> {
    actor.require(Capability::Personalize)?;
    let id = hash.0.clone();
    app.change(&actor.0, move |c, caller| favorites::set(c, caller, &hash.0, favorite)).await?;
    Ok(back(&id, ""))
}

#[post("/object/<hash>/reanalyze")]
async fn reanalyze(hash: Hash, actor: Actor, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::KartonReanalyze)?;
    if !app.karton.is_enabled() {
        return Err(ApiError::Unavailable("Karton is not enabled on this server".to_owned()).into());
    }
    let id = hash.0.clone();
    app.change(&actor.0, move |c, caller| analyses::reanalyze(c, caller, None, &hash.0, Map::new()).map(drop)).await?;
    app.karton.wake();
    Ok(back(&id, "#analyses"))
}

#[post("/object/<hash>/remove")]
async fn remove_object(hash: Hash, actor: Actor, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::RemovingObjects)?;
    remove::remove(app, &actor.0, None, hash.0).await?;
    Ok(see_other("/"))
}
