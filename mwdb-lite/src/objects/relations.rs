//! Parents and children. See MWDB API §O8.

use std::collections::{BTreeSet, HashMap, VecDeque};

use rusqlite::Connection;
use serde::Serialize;

use super::{
    Kind, access,
    views::{self, ObjectRef},
};
use crate::{
    auth::Caller,
    db::relations::{self as db, Side},
    error::ApiResult,
};

#[derive(Debug, Serialize)]
pub(crate) struct Relations {
    parents: Vec<ObjectRef>,
    children: Vec<ObjectRef>,
}

pub(crate) fn list(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str) -> ApiResult<Relations> {
    let object = access::find(c, caller, kind, hash)?;
    Ok(Relations {
        parents: views::references(c, &db::shown(c, caller, Side::Parents, object.id)?)?,
        children: views::references(c, &db::shown(c, caller, Side::Children, object.id)?)?,
    })
}

/// The type is that of the parent; the child is any object.
pub(crate) fn add(c: &Connection, caller: &Caller, kind: Option<Kind>, parent: &str, child: &str) -> ApiResult<()> {
    let parent = access::find(c, caller, kind, parent)?;
    let child = access::find(c, caller, None, child)?;
    access::link(c, parent.id, child.id)
}

pub(crate) fn remove(c: &Connection, caller: &Caller, kind: Option<Kind>, parent: &str, child: &str) -> ApiResult<()> {
    let parent = access::find(c, caller, kind, parent)?;
    let child = access::find(c, caller, None, child)?;
    access::unlink(c, parent.id, child.id)
}

/// What is around an object, as far as the caller sees it.
#[derive(Debug, Serialize)]
pub(crate) struct Neighbourhood {
    /// The object itself comes first.
    pub(crate) nodes: Vec<Node>,
    /// Parents and children, as places in `nodes`.
    pub(crate) edges: Vec<(usize, usize)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Node {
    pub(crate) object: views::ListItem,
    /// Generations below the object; those above count negative.
    pub(crate) level: i64,
    /// It has relatives that are not in the neighbourhood.
    pub(crate) more: bool,
}

/// The relatives of an object that are at most `steps` away, and at most `most` of them: the nearest.
pub(crate) fn neighbourhood(c: &Connection, caller: &Caller, hash: &str, steps: usize, most: usize) -> ApiResult<Neighbourhood> {
    let start = access::find(c, caller, None, hash)?;
    let mut places = HashMap::from([(start.id, 0)]);
    let mut around =
        Neighbourhood { nodes: vec![Node { object: views::list_item(c, &start, true)?, level: 0, more: false }], edges: Vec::new() };
    let mut queue = VecDeque::from([(start.id, 0)]);
    let mut edges = BTreeSet::new();
    while let Some((id, distance)) = queue.pop_front() {
        let (place, level) = (places[&id], around.nodes[places[&id]].level);
        for (side, step) in [(Side::Parents, -1), (Side::Children, 1)] {
            for relative in db::shown(c, caller, side, id)? {
                let other = match places.get(&relative.id) {
                    Some(other) => *other,
                    None if distance < steps && around.nodes.len() < most => {
                        let other = around.nodes.len();
                        around.nodes.push(Node { object: views::list_item(c, &relative, true)?, level: level + step, more: false });
                        places.insert(relative.id, other);
                        queue.push_back((relative.id, distance + 1));
                        other
                    }
                    None => {
                        around.nodes[place].more = true;
                        continue;
                    }
                };
                edges.insert(if side == Side::Parents { (other, place) } else { (place, other) });
            }
        }
    }
    around.edges = edges.into_iter().collect();
    Ok(around)
}
