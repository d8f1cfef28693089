//! Administration of attribute keys: definitions, and which groups may read and set them.

use karton_rs::json::Value;
use rocket::{Route, State, get, post};
use rusqlite::Connection;

use super::{
    form::Form,
    notices::Done,
    respond::{Page, PageResult, SeeOther, see_other},
    rich,
    settings::{Admin, AdminActor, fields},
    view::{
        frame::Section,
        settings::{AttributePage, AttributeRights},
        text::Text,
    },
};
use crate::{
    api::attribute::definition_fields,
    auth::Caller,
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
async fn define(actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let text = |name: &str| Value::from(form.text(name).trim());
    let given = [("key", text("key")), ("label", text("label")), ("description", text("description")), ("hidden", false.into())];
    let row = definition_fields(&fields(&given)?)?;
    let public = form.ticked("public");
    let work = move |c: &Connection, _: &Caller| {
        let key = definitions::create(c, row)?.key;
        if public {
            let rights = Rights { group_name: "public".to_owned(), can_read: true, can_set: false };
            definitions::set_rights(c, &key, rights)?;
        }
        Ok(())
    };
    app.change(&actor.0, work).await?;
    Ok(see_other("/settings#attributes").telling(Done::KeyDefined))
}

#[get("/settings/attribute/<key>")]
async fn page(key: String, admin: Admin, app: &State<App>) -> PageResult {
    let found = app.look(&admin.0.0, move |c, _| Ok((definitions::detail(c, &key)?, definitions::rights(c, &key)?)));
    let (definition, rights) = found.await?;
    let rights =
        rights.into_iter().map(|right| AttributeRights { group: right.group_name, can_read: right.can_read, can_set: right.can_set });
    let example = (!definition.rich_template.is_empty()).then(|| {
        let value = example(&definition.example_value)?;
        let rich = rich::render(&definition.rich_template, &definition.key, &value);
        rich.map_err(|problem| Text::from(format!("The template cannot be followed: {problem}")))
    });
    Page::new(&AttributePage {
        frame: admin.0.frame(app, Section::Settings),
        example,
        key: definition.key,
        label: definition.label.into(),
        description: definition.description.into(),
        url_template: definition.url_template.into(),
        rich_template: definition.rich_template.into(),
        example_value: definition.example_value.into(),
        hidden: definition.hidden,
        rights: rights.collect(),
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
async fn change(key: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let text = |name: &str| Some(form.lines(name));
    let changes = Changes {
        label: text("label"),
        description: text("description"),
        url_template: text("url_template"),
        rich_template: text("rich_template"),
        example_value: text("example_value"),
        hidden: Some(form.ticked("hidden")),
    };
    let name = key.to_owned();
    app.change(&actor.0, move |c, _| definitions::update(c, &name, changes)).await?;
    Ok(to_key(key).telling(Done::Saved))
}

#[post("/settings/attribute/<key>/remove")]
async fn remove(key: String, actor: AdminActor, app: &State<App>) -> PageResult<SeeOther> {
    definitions::remove(app, &actor.0, key).await?;
    Ok(see_other("/settings#attributes").telling(Done::KeyRemoved))
}

#[post("/settings/attribute/<key>/rights", data = "<form>")]
async fn set_rights(key: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let name = key.to_owned();
    let rights =
        Rights { group_name: form.text("group").trim().to_owned(), can_read: form.ticked("can_read"), can_set: form.ticked("can_set") };
    app.change(&actor.0, move |c, _| definitions::set_rights(c, &name, rights)).await?;
    Ok(to_key(key).telling(Done::Saved))
}

#[post("/settings/attribute/<key>/rights/remove", data = "<form>")]
async fn remove_rights(key: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let (name, group) = (key.to_owned(), form.text("group").to_owned());
    app.change(&actor.0, move |c, _| definitions::remove_rights(c, &name, &group)).await?;
    Ok(to_key(key).telling(Done::Saved))
}
