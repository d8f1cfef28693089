//! What the forms of an object's page do. Each ends with the page anew, which says what was done, or
//! with the page and why it was not.

use karton_rs::json::{Map, Value};
use rocket::{Route, State, post};
use rusqlite::Connection;

use super::{
    form::Form,
    notices::Done,
    object,
    respond::{Outcome, see_other},
    session::Actor,
    view::{object::Draft, text::decode_field},
};
use crate::{
    api::{body::read_json, params::Hash},
    auth::{Caller, Capability, is_name},
    error::{ApiError, ApiResult},
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
        give_consent,
        add_favorite,
        remove_favorite,
        reanalyze,
        restart,
        unassign,
        remove_object
    ]
}

/// A form of an object, once it is known how it went.
struct Sent<'a> {
    app: &'a App,
    actor: &'a Actor,
    id: &'a str,
    /// The place of the form in the page.
    place: &'static str,
    draft: Draft,
}

impl<'a> Sent<'a> {
    fn new(app: &'a App, actor: &'a Actor, id: &'a str, place: &'static str) -> Self {
        Self { app, actor, id, place, draft: Draft::default() }
    }

    /// What was typed, to be corrected when it is refused.
    fn typed(self, draft: Draft) -> Self {
        Self { draft, ..self }
    }

    async fn settle(self, outcome: ApiResult<Done>) -> Outcome {
        match outcome {
            Ok(done) => Ok(Ok(see_other(format!("/object/{}{}", self.id, self.place)).telling(done))),
            Err(error) => Ok(Err(object::refused(self.app, self.actor, self.id, error, self.draft).await?)),
        }
    }
}

#[post("/object/<hash>/tag", data = "<form>")]
async fn add_tag(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> Outcome {
    let outcome = async {
        actor.require(Capability::AddingTags)?;
        let (id, tag) = (hash.0.clone(), tags::valid(form.text("tag"))?);
        let work = move |c: &Connection, caller: &Caller| {
            let known = tags::list(c, caller, None, &id)?.iter().any(|item| item.tag == tag);
            tags::add(c, caller, None, &id, &tag)?;
            Ok(known)
        };
        Ok(if app.change(&actor.0, work).await? { Done::TagKnown } else { Done::TagAdded })
    };
    let draft = Draft { tag: form.text("tag").into(), ..Draft::default() };
    Sent::new(app, &actor, &hash.0, "#tags").typed(draft).settle(outcome.await).await
}

#[post("/object/<hash>/tag/remove", data = "<form>")]
async fn remove_tag(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> Outcome {
    let outcome = async {
        actor.require(Capability::RemovingTags)?;
        // Encoded in the page, so that no character of it is lost in a form field.
        let tag = decode_field(form.text("tag")).ok_or_else(|| ApiError::BadRequest("This is no tag of the page.".to_owned()))?;
        let (id, tag) = (hash.0.clone(), tags::normalise(&tag)?);
        app.change(&actor.0, move |c, caller| tags::remove(c, caller, None, &id, &tag).map(drop)).await?;
        Ok(Done::TagRemoved)
    };
    Sent::new(app, &actor, &hash.0, "#tags").settle(outcome.await).await
}

#[post("/object/<hash>/comment", data = "<form>")]
async fn add_comment(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> Outcome {
    let comment = form.lines("comment");
    let draft = Draft { comment: comment.as_str().into(), ..Draft::default() };
    let outcome = async {
        actor.require(Capability::AddingComments)?;
        if comment.trim().is_empty() {
            return Err(ApiError::BadRequest("The comment is empty.".to_owned()));
        }
        let id = hash.0.clone();
        app.change(&actor.0, move |c, caller| comments::add(c, caller, None, &id, comment).map(drop)).await?;
        Ok(Done::CommentAdded)
    };
    Sent::new(app, &actor, &hash.0, "#comments").typed(draft).settle(outcome.await).await
}

#[post("/object/<hash>/comment/<comment>/remove")]
async fn remove_comment(hash: Hash, comment: i64, actor: Actor, app: &State<App>) -> Outcome {
    let outcome = async {
        actor.require(Capability::RemovingComments)?;
        let id = hash.0.clone();
        app.change(&actor.0, move |c, caller| comments::remove(c, caller, None, &id, comment)).await?;
        Ok(Done::CommentRemoved)
    };
    Sent::new(app, &actor, &hash.0, "#comments").settle(outcome.await).await
}

#[post("/object/<hash>/attribute", data = "<form>")]
async fn add_attribute(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> Outcome {
    let (text, json) = (form.lines("value"), form.ticked("json"));
    let draft = Draft { key: form.text("key").into(), value: text.as_str().into(), json, ..Draft::default() };
    let outcome = async {
        let key = attributes::normalise_key(form.text("key"))?;
        let value = attribute_value(text, json)?;
        let id = hash.0.clone();
        app.change(&actor.0, move |c, caller| attributes::add(c, caller, None, &id, &key, &value).map(drop)).await?;
        Ok(Done::AttributeAdded)
    };
    Sent::new(app, &actor, &hash.0, "#attributes").typed(draft).settle(outcome.await).await
}

/// The value of an attribute as it was typed.
pub(super) fn attribute_value(text: String, json: bool) -> ApiResult<Value> {
    let value = if json {
        read_json(&text).map_err(|reason| ApiError::BadRequest(format!("The value is not JSON: {reason}")))?
    } else {
        Value::from(text)
    };
    attributes::check_value(&value)?;
    Ok(value)
}

#[post("/object/<hash>/attribute/<attribute>/remove")]
async fn remove_attribute(hash: Hash, attribute: i64, actor: Actor, app: &State<App>) -> Outcome {
    let outcome = async {
        actor.require(Capability::RemovingAttributes)?;
        let id = hash.0.clone();
        app.change(&actor.0, move |c, caller| attributes::remove(c, caller, None, &id, attribute)).await?;
        Ok(Done::AttributeRemoved)
    };
    Sent::new(app, &actor, &hash.0, "#attributes").settle(outcome.await).await
}

#[post("/object/<hash>/relation", data = "<form>")]
async fn add_relation(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> Outcome {
    let draft = Draft { other: form.text("other").into(), ..Draft::default() };
    let outcome = async {
        actor.require(Capability::AddingParents)?;
        let (own, other) = (hash.0.clone(), form.text("other").trim().to_lowercase());
        let (parent, child) = if form.text("role") == "child" { (other, own) } else { (own, other) };
        app.change(&actor.0, move |c, caller| relations::add(c, caller, None, &parent, &child)).await?;
        Ok(Done::RelationAdded)
    };
    Sent::new(app, &actor, &hash.0, "#relations").typed(draft).settle(outcome.await).await
}

#[post("/object/<hash>/parent/remove", data = "<form>")]
async fn remove_parent(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> Outcome {
    let (parent, child) = (form.text("other").to_owned(), hash.0.clone());
    remove_relation(&hash, &actor, app, parent, child).await
}

#[post("/object/<hash>/child/remove", data = "<form>")]
async fn remove_child(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> Outcome {
    let (parent, child) = (hash.0.clone(), form.text("other").to_owned());
    remove_relation(&hash, &actor, app, parent, child).await
}

async fn remove_relation(hash: &Hash, actor: &Actor, app: &App, parent: String, child: String) -> Outcome {
    let outcome = async {
        actor.require(Capability::RemovingParents)?;
        app.change(&actor.0, move |c, caller| relations::remove(c, caller, None, &parent, &child)).await?;
        Ok(Done::RelationRemoved)
    };
    Sent::new(app, actor, &hash.0, "#relations").settle(outcome.await).await
}

#[post("/object/<hash>/share", data = "<form>")]
async fn share(hash: Hash, actor: Actor, form: Form, app: &State<App>) -> Outcome {
    let outcome = async {
        let group = form.text("group").to_owned();
        if !is_name(&group) {
            return Err(ApiError::BadRequest("This is no name of a group.".to_owned()));
        }
        let id = hash.0.clone();
        app.change(&actor.0, move |c, caller| shares::share(c, caller, None, &id, &group).map(drop)).await?;
        Ok(Done::Shared)
    };
    Sent::new(app, &actor, &hash.0, "#shares").settle(outcome.await).await
}

#[post("/object/<hash>/share_3rd_party")]
async fn give_consent(hash: Hash, actor: Actor, app: &State<App>) -> Outcome {
    let outcome = async {
        actor.require(Capability::Modify3rdPartySharing)?;
        // Where nobody is asked there is nothing to allow; the API has no such route then.
        if !app.config.enable_3rd_party_sharing_consent {
            return Err(ApiError::NoRoute);
        }
        let id = hash.0.clone();
        app.change(&actor.0, move |c, caller| favorites::allow_3rd_party(c, caller, &id)).await?;
        Ok(Done::ConsentGiven)
    };
    Sent::new(app, &actor, &hash.0, "").settle(outcome.await).await
}

#[post("/object/<hash>/favorite")]
async fn add_favorite(hash: Hash, actor: Actor, app: &State<App>) -> Outcome {
    set_favorite(hash, actor, app, true).await
}

#[post("/object/<hash>/favorite/remove")]
async fn remove_favorite(hash: Hash, actor: Actor, app: &State<App>) -> Outcome {
    set_favorite(hash, actor, app, false).await
}

async fn set_favorite(hash: Hash, actor: Actor, app: &App, favorite: bool) -> Outcome {
    let outcome = async {
        actor.require(Capability::Personalize)?;
        let id = hash.0.clone();
        app.change(&actor.0, move |c, caller| favorites::set(c, caller, &id, favorite)).await?;
        Ok(if favorite { Done::FavoriteAdded } else { Done::FavoriteRemoved })
    };
    Sent::new(app, &actor, &hash.0, "").settle(outcome.await).await
}

fn needs_karton(app: &App) -> ApiResult<()> {
    if app.karton.is_enabled() { Ok(()) } else { Err(ApiError::Unavailable("Karton is not enabled on this server".to_owned())) }
}

#[post("/object/<hash>/reanalyze")]
async fn reanalyze(hash: Hash, actor: Actor, app: &State<App>) -> Outcome {
    let outcome = async {
        actor.require(Capability::KartonReanalyze)?;
        needs_karton(app)?;
        let id = hash.0.clone();
        app.change(&actor.0, move |c, caller| analyses::reanalyze(c, caller, None, &id, Map::new()).map(drop)).await?;
        app.karton.wake();
        Ok(Done::Reanalyzed)
    };
    Sent::new(app, &actor, &hash.0, "#analyses").settle(outcome.await).await
}

/// Starts the crashed tasks of an analysis again; who may start the whole analysis again may do so.
#[post("/object/<hash>/analysis/<analysis>/restart")]
async fn restart(hash: Hash, analysis: String, actor: Actor, app: &State<App>) -> Outcome {
    let outcome = async {
        actor.require(Capability::KartonReanalyze)?;
        needs_karton(app)?;
        let (id, wanted) = (hash.0.clone(), analyses::parse_id("analysis_id", &analysis)?);
        let known = app.look(&actor.0, move |c, caller| analyses::detail(c, caller, None, &id, &wanted)).await?;
        let started = app.karton.restart_crashed(&known.id).await?;
        Ok(if started > 0 { Done::Restarted } else { Done::NothingToRestart })
    };
    Sent::new(app, &actor, &hash.0, "#analyses").settle(outcome.await).await
}

#[post("/object/<hash>/analysis/<analysis>/remove")]
async fn unassign(hash: Hash, analysis: String, actor: Actor, app: &State<App>) -> Outcome {
    let outcome = async {
        actor.require(Capability::KartonUnassign)?;
        let id = hash.0.clone();
        app.change(&actor.0, move |c, caller| analyses::unassign(c, caller, None, &id, &analysis)).await?;
        Ok(Done::AnalysisRemoved)
    };
    Sent::new(app, &actor, &hash.0, "#analyses").settle(outcome.await).await
}

#[post("/object/<hash>/remove")]
async fn remove_object(hash: Hash, actor: Actor, app: &State<App>) -> Outcome {
    let outcome = async {
        actor.require(Capability::RemovingObjects)?;
        remove::remove(app, &actor.0, None, hash.0.clone()).await
    };
    match outcome.await {
        Ok(()) => Ok(Ok(see_other("/").telling(Done::ObjectRemoved))),
        Err(error) => Sent::new(app, &actor, &hash.0, "").settle(Err(error)).await,
    }
}
