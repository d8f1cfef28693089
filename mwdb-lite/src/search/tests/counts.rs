//! Counting in a database that is too large for the allowance of a page.

use std::collections::BTreeSet;

use super::bed::{TEAM, World};
use crate::{
    auth::Caller,
    db::filling::{self, Owners},
    search::{condition, count, count_within},
};

const OBJECTS: i64 = 20_000;
/// Less than a look at that many objects costs.
const ROUNDS: u32 = 2;

#[test]
fn a_count_that_is_given_up_has_counted_what_it_saw_and_one_without_bound_is_exact() {
    let world = World::new(1, 0);
    filling::fill(&world.c, 1, OBJECTS, Owners { user: 4, own: 4, other: TEAM }).unwrap();
    let root = &world.callers[3];
    let owner = &Caller { capabilities: BTreeSet::new(), ..root.clone() };
    let all = OBJECTS.unsigned_abs();
    // By groups, by an exact source, by one source with more to test, by several.
    for (caller, query, expected) in [
        (owner, "", all),
        (root, "tag:common", all / 2),
        (owner, "tag:common", all / 2),
        (owner, "tag:common OR file.name:sample*", all * 9 / 10),
    ] {
        let condition = condition(&world.c, caller, None, query).unwrap();
        let some = count_within(&world.c, caller, None, &condition, ROUNDS).unwrap();
        assert!(!some.exact && some.count > 0 && some.count < expected, "{query:?}: {some:?}");
        assert_eq!(count(&world.c, caller, None, &condition).unwrap(), expected, "{query:?}");
    }
    // The whole table costs no more than a look at its pages.
    let condition = condition(&world.c, root, None, "").unwrap();
    let whole = count_within(&world.c, root, None, &condition, ROUNDS).unwrap();
    assert_eq!((whole.count, whole.exact), (all, true));
}
