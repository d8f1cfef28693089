//! Deleting objects, content included. See MWDB API §O5.2.

use std::sync::Arc;

use rusqlite::Connection;

use super::{Kind, access};
use crate::{auth::Caller, content::settle, db::objects as db, error::ApiResult, state::App};

/// Removes an object with all that belongs to it. Children stay.
pub(crate) async fn remove(app: &App, caller: &Arc<Caller>, kind: Option<Kind>, hash: String) -> ApiResult<()> {
    let find = move |c: &Connection, caller: &Caller| access::find(c, caller, kind, &hash).map(|object| (object.kind, object.dhash));
    let (kind, dhash) = app.look(caller, find).await?;
    // Nobody settles the doubt before the deletion is decided.
    let kept = if kind == Kind::File { Some(app.store.hold(&dhash).await) } else { None };
    let (store, hash) = (Arc::clone(&app.store), dhash.clone());
    app.change(caller, move |c, caller| {
        let object = access::find(c, caller, Some(kind), &hash)?;
        db::delete(c, object.id)?;
        // Before the commit, so that a crash right after it leaves content that is known to be in doubt.
        if kind == Kind::File {
            store.doubt_durably(&hash)?;
        }
        Ok(())
    })
    .await?;
    if kept.is_some() {
        drop(kept);
        settle(&app.db, &app.store, &dhash).await;
    }
    Ok(())
}
