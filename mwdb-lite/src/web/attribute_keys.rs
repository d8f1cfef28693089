//! Administration of attribute keys: definitions, and which groups may read and set them.

use karton_rs::json::Value;
use rocket::{Route, State, get, post};
use rusqlite::Connection;

use super::{
    form::Form,
    notices::Done,
    respond::{Outcome, Page, PageResult, SeeOther, refused, see_other},
    rich,
    session::Session,
    settings::{Admin, AdminActor, fields, overview_refused},
    view::{
        frame::Section,
        settings::{AttributePage, AttributeRights, NewThings},
        text::Text,
    },
};
use crate::{
    api::attribute::definition_fields,
    auth::Caller,
    error::ApiResult,
    objects::definitions::{self, Changes, Rights},
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![define, page, change, remove, set_rights, remove_rights]
}

fn to_key(key: &str) -> SeeOther {
    see_other(format!("/settings/attribute/{key}"))
}

#[post("/settings/attribute", data = "<form>")]
async fn define(actor: AdminActor, form: Form, app: &State<App>) -> Outcome {
    let text = |name: &str| Value::from(form.text(name).trim());
    let public = form.ticked("public");
    let outcome = async {
        let given = [("key", text("key")), ("label", text("label")), ("description", text("description")), ("hidden", false.into())];
        let row = definition_fields(&fields(&given)?)?;
        let work = move |c: &Connection, _: &Caller| {
            let key = definitions::create(c, row)?.key;
            if public {
                let rights = Rights { group_name: "public".to_owned(), can_read: true, can_set: false };
                definitions::set_rights(c, &key, rights)?;
            }
            Ok(())
        };
        app.change(&actor.0, work).await
    };
    match outcome.await {
        Ok(()) => Ok(Ok(see_other("/settings#attributes").telling(Done::KeyDefined))),
        Err(error) => {
            let typed = NewThings { key: form.text("key").into(), label: form.text("label").into(), public, ..NewThings::default() };
            Ok(Err(overview_refused(app, &actor, error, typed).await?))
        }
    }
}

#[get("/settings/attribute/<key>")]
async fn page(key: String, admin: Admin, app: &State<App>) -> PageResult {
    Page::new(&key_page(app, &admin.0, key, None).await?)
}

/// The page of a key, with the definition as it was typed.
async fn key_page(app: &App, viewer: &Session, key: String, typed: Option<Changes>) -> ApiResult<AttributePage> {
    let found = app.look(&viewer.0, move |c, _| Ok((definitions::detail(c, &key)?, definitions::rights(c, &key)?)));
    let (definition, rights) = found.await?;
    let rights = rights.into_iter().map(|right| AttributeRights {
        group: right.group_name.into(),
        can_read: right.can_read,
        can_set: right.can_set,
    });
    let hidden = definition.hidden;
    let typed = typed.unwrap_or_default();
    let or = |typed: Option<String>, stored: String| typed.unwrap_or(stored);
    let (rich_template, example_value) =
        (or(typed.rich_template, definition.rich_template), or(typed.example_value, definition.example_value));
    let example = (!rich_template.is_empty()).then(|| {
        let value = example(&example_value)?;
        let rich = rich::render(&rich_template, &definition.key, &value);
        rich.map_err(|problem| Text::from(format!("The template cannot be followed: {problem}")))
    });
    Ok(AttributePage {
        frame: viewer.frame(app, Section::Settings),
        example,
        key: definition.key,
        label: or(typed.label, definition.label).into(),
        description: or(typed.description, definition.description).into(),
        url_template: or(typed.url_template, definition.url_template).into(),
        rich_template: rich_template.into(),
        example_value: example_value.into(),
        hidden,
        hidden_ticked: typed.hidden.unwrap_or(hidden),
        rights: rights.collect(),
        typed: AttributeRights { group: Text::default(), can_read: true, can_set: false },
    })
}

/// JSON where it is JSON, as the form of a value would take it either way. What begins as a list or a map and
/// is none was meant to be one: as a text it has no parts to show.
fn example(typed: &str) -> Result<Value, Text> {
    match Value::parse(typed) {
        Ok(value) => Ok(value),
        Err(problem) if typed.trim_start().starts_with(['{', '[', '"']) => Err(format!("The example value is not JSON: {problem}").into()),
        Err(_) => Ok(typed.into()),
    }
}

#[post("/settings/attribute/<key>", data = "<form>")]
async fn change(key: &str, actor: AdminActor, form: Form, app: &State<App>) -> Outcome {
    let text = |name: &str| Some(form.lines(name));
    let changes = Changes {
        label: text("label"),
        description: text("description"),
        url_template: text("url_template"),
        rich_template: text("rich_template"),
        example_value: text("example_value"),
        hidden: Some(form.ticked("hidden")),
    };
    let (name, typed) = (key.to_owned(), changes.clone());
    match app.change(&actor.0, move |c, _| definitions::update(c, &name, changes)).await {
        Ok(_) => Ok(Ok(to_key(key).telling(Done::Saved))),
        Err(error) => {
            let page = |session: Session| async move { key_page(app, &session, key.to_owned(), Some(typed)).await };
            Ok(Err(refused(&actor.0, error, page).await?))
        }
    }
}

#[post("/settings/attribute/<key>/remove")]
async fn remove(key: String, actor: AdminActor, app: &State<App>) -> PageResult<SeeOther> {
    definitions::remove(app, &actor.0, key).await?;
    Ok(see_other("/settings#attributes").telling(Done::KeyRemoved))
}

#[post("/settings/attribute/<key>/rights", data = "<form>")]
async fn set_rights(key: &str, actor: AdminActor, form: Form, app: &State<App>) -> Outcome {
    let name = key.to_owned();
    let (group, can_read, can_set) = (form.text("group").trim().to_owned(), form.ticked("can_read"), form.ticked("can_set"));
    let rights = Rights { group_name: group.clone(), can_read, can_set };
    match app.change(&actor.0, move |c, _| definitions::set_rights(c, &name, rights)).await {
        Ok(()) => Ok(Ok(to_key(key).telling(Done::Saved))),
        Err(error) => {
            let typed = AttributeRights { group: group.into(), can_read, can_set };
            let page =
                |session: Session| async move { Ok(AttributePage { typed, ..key_page(app, &session, key.to_owned(), None).await? }) };
            Ok(Err(refused(&actor.0, error, page).await?))
        }
    }
}

#[post("/settings/attribute/<key>/rights/remove", data = "<form>")]
async fn remove_rights(key: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let (name, group) = (key.to_owned(), form.text("group").to_owned());
    app.change(&actor.0, move |c, _| definitions::remove_rights(c, &name, &group)).await?;
    Ok(to_key(key).telling(Done::Saved))
}
