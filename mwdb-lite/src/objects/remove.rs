//! Deleting objects, content included. See MWDB API §O5.2.

use std::sync::Arc;

use super::{Kind, access};
use crate::{auth::Caller, content::settle, db::objects as db, error::ApiResult, state::App};

/// Removes an object with all that belongs to it. Children stay.
pub(crate) async fn remove(app: &App, caller: &Arc<Caller>, kind: Option<Kind>, hash: String) -> ApiResult<()> {
    let store = Arc::clone(&app.store);
    let removed = app.change(caller, move |c, caller| {
        let object = access::find(c, caller, kind, &hash)?;
        db::delete(c, object.id)?;
        let content = (object.kind == Kind::File).then_some(object.dhash);
        // Before the commit, so that a crash right after it leaves content that is known to be in doubt.
        content.as_ref().map(|sha256| store.doubt_durably(sha256)).transpose()?;
        Ok(content)
    });
    if let Some(sha256) = removed.await? {
        settle(&app.db, &app.store, &sha256).await;
    }
    Ok(())
}
