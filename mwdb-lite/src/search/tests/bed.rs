//! A small world: accounts, groups, objects with everything a query can ask for. It is written into
//! the database row by row and kept beside it, for the evaluator that knows no SQL.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{
    auth::{Caller, Capability, OwnGroup, Standing},
    db,
    objects::{Kind, attributes::digest},
};

/// Numbers that are the same in every run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % limit as u64).expect("a small number")
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

#[derive(Debug, Clone)]
pub(super) struct Permission {
    pub(super) group: i64,
    pub(super) reason: &'static str,
    pub(super) related_object: i64,
    pub(super) user: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) id: i64,
    pub(super) kind: Kind,
    pub(super) dhash: String,
    pub(super) time: i64,
    pub(super) names: Vec<String>,
    pub(super) size: i64,
    pub(super) family: String,
    pub(super) cfg: Value,
    pub(super) content: String,
    pub(super) tags: BTreeSet<&'static str>,
    pub(super) comments: Vec<(i64, &'static str)>,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) permissions: Vec<Permission>,
    pub(super) favorite_of: BTreeSet<i64>,
    pub(super) analyses: BTreeSet<String>,
    pub(super) parents: BTreeSet<usize>,
    pub(super) children: BTreeSet<usize>,
}

pub(super) const TAGS: [&str; 7] = ["emotet", "emote", "feed:mail", "a*b", "ąć", "e", "EMOTET"];
pub(super) const NAMES: [&str; 6] = ["setup.exe", "setup_1.exe", "a", "ab", "invoice.doc", "SETUP.exe"];
pub(super) const FAMILIES: [&str; 4] = ["emotet", "emo", "trickbot", "e"];
pub(super) const COMMENTS: [&str; 4] = ["a packed one", "packed", "see a*b", "?"];
pub(super) const CONTENTS: [&str; 5] = ["http://evil.example/\0x", "evil", "a\nb", "zażółć", "ev"];
pub(super) const ANALYSES: [&str; 2] = ["91a521d0-4696-4df1-9188-c07c525a0808", "00000000-0000-4000-8000-000000000001"];
pub(super) const USERS: [&str; 4] = ["alice", "bob", "carol", "root"];

fn scalar(random: &mut Random) -> Value {
    let values = [
        json!(1),
        json!(10),
        json!(2.5),
        json!(-1),
        json!(true),
        json!(null),
        json!("1"),
        json!("v"),
        json!("x y"),
        json!("C:\\new\"q"),
        json!("l1\nl2"),
        json!(""),
    ];
    random.pick(&values).clone()
}

fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 6 } else { 10 }) {
        6 | 7 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        8 | 9 => document(random, depth - 1),
        _ => scalar(random),
    }
}

pub(super) fn document(random: &mut Random, depth: usize) -> Value {
    let mut map = serde_json::Map::new();
    for key in ["a", "bb", "k.y", "a"] {
        if random.chance(50) {
            map.insert(key.to_owned(), value(random, depth));
        }
    }
    map.into()
}

/// The text in which the server stores a value.
fn stored(value: &Value) -> String {
    karton_rs::json::Value::parse(&value.to_string()).unwrap().to_json()
}

pub(super) struct World {
    pub(super) c: Connection,
    pub(super) objects: Vec<Object>,
    /// Alice and Bob share a workspace, Carol is alone, Root may do everything.
    pub(super) callers: Vec<Caller>,
}

/// Groups by id: the private ones have the ids of their users, `team` is a workspace, `public` is not.
pub(super) const TEAM: i64 = 5;
pub(super) const PUBLIC: i64 = 6;

impl World {
    pub(super) fn new(seed: u64, count: usize) -> Self {
        let mut random = Random::new(seed);
        let c = db::scratch();
        let callers = people(&c);
        c.execute_batch("BEGIN").unwrap();
        let mut world = Self { c, objects: Vec::new(), callers };
        for number in 0..count {
            world.add(&mut random, number);
        }
        for index in 0..world.objects.len() {
            for _ in 0..random.below(3) {
                let child = random.below(count);
                let insert = "INSERT OR IGNORE INTO relation (parent_id, child_id, creation_time) VALUES (?, ?, 0)";
                world.c.execute(insert, params![world.objects[index].id, world.objects[child].id]).unwrap();
                world.objects[index].children.insert(child);
                world.objects[child].parents.insert(index);
            }
        }
        world.c.execute_batch("COMMIT").unwrap();
        world
    }

    fn add(&mut self, random: &mut Random, number: usize) {
        let kind = *random.pick(&Kind::ALL);
        let id = i64::try_from(number).unwrap() + 1;
        let some = |random: &mut Random, from: &[&'static str], percent| -> BTreeSet<&'static str> {
            from.iter().copied().filter(|_| random.chance(percent)).collect()
        };
        let mut object = Object {
            id,
            kind,
            dhash: format!("{:064x}", number * 7919 % 4096),
            // Some at the same moment.
            time: i64::try_from(number / 3).unwrap() * 3_600_000_000,
            names: vec![(*random.pick(&NAMES)).to_owned()],
            size: i64::try_from(random.below(5) * 512).unwrap(),
            family: (*random.pick(&FAMILIES)).to_owned(),
            cfg: document(random, 3),
            content: (*random.pick(&CONTENTS)).to_owned(),
            tags: some(random, &TAGS, 20),
            comments: Vec::new(),
            attributes: Vec::new(),
            permissions: Vec::new(),
            favorite_of: BTreeSet::new(),
            analyses: ANALYSES.iter().filter(|_| random.chance(15)).map(|id| (*id).to_owned()).collect(),
            parents: BTreeSet::new(),
            children: BTreeSet::new(),
        };
        if random.chance(30) {
            object.names.push((*random.pick(&NAMES)).to_owned());
            object.names.dedup();
        }
        for comment in some(random, &COMMENTS, 10) {
            object.comments.push((i64::try_from(random.below(4)).unwrap() + 1, comment));
        }
        for _ in 0..random.below(3) {
            let attribute = (*random.pick(&["open", "other"]), value(random, 2));
            if !object.attributes.iter().any(|known| digest_of(&known.1) == digest_of(&attribute.1) && known.0 == attribute.0) {
                object.attributes.push(attribute);
            }
        }
        for group in 1..=PUBLIC {
            if random.chance(25) {
                let user = i64::try_from(random.below(4)).unwrap() + 1;
                let own = group <= 4 && random.chance(70);
                let related_object = if random.chance(70) { id } else { i64::try_from(random.below(number + 1)).unwrap() + 1 };
                let user = if own { group } else { user };
                object.permissions.push(Permission { group, reason: if own { "added" } else { "shared" }, related_object, user });
            }
        }
        object.favorite_of = (1..=4).filter(|_| random.chance(10)).collect();
        self.write(&object);
        self.objects.push(object);
    }

    fn write(&self, object: &Object) {
        let c = &self.c;
        let id = object.id;
        let insert = "INSERT INTO object (id, type, dhash, upload_time, share_3rd_party) VALUES (?, ?, ?, ?, 1)";
        c.execute(insert, params![id, object.kind, object.dhash, object.time]).unwrap();
        match object.kind {
            Kind::File => {
                let insert = "INSERT INTO file VALUES (?, ?, ?, 'PE32 executable', ?, ?, ?, ?, NULL)";
                let digest = |length: usize| format!("{id:0length$x}");
                c.execute(insert, params![id, object.names[0], object.size, digest(32), digest(40), digest(128), digest(8)]).unwrap();
                for name in &object.names {
                    c.execute("INSERT OR IGNORE INTO file_name (object_id, name) VALUES (?, ?)", params![id, name]).unwrap();
                }
            }
            Kind::Config => {
                c.execute("INSERT INTO config VALUES (?, ?, 'static', ?)", params![id, object.family, stored(&object.cfg)]).unwrap();
            }
            Kind::Blob => {
                let insert = "INSERT INTO blob VALUES (?, ?, 'raw', ?, ?, ?)";
                c.execute(insert, params![id, object.names[0], object.size, object.time, object.content]).unwrap();
            }
        }
        for tag in &object.tags {
            db::metadata::add_tag(c, id, tag).unwrap();
        }
        for (user, comment) in &object.comments {
            c.execute("INSERT INTO comment (object_id, user_id, comment, timestamp) VALUES (?, ?, ?, 0)", params![id, user, comment])
                .unwrap();
        }
        for (key, value) in &object.attributes {
            db::attributes::insert_value(c, id, key, &stored(value), &digest_of(value)).unwrap();
        }
        for permission in &object.permissions {
            let insert = "INSERT INTO permission VALUES (?, ?, ?, ?, ?, ?, 0)";
            let Permission { group, reason, related_object, user } = permission;
            c.execute(insert, params![id, group, object.kind, reason, related_object, user]).unwrap();
        }
        for user in &object.favorite_of {
            db::metadata::set_favorite(c, *user, id, true).unwrap();
        }
        for analysis in &object.analyses {
            c.execute("INSERT OR IGNORE INTO analysis VALUES (?, 0, '{}')", [analysis]).unwrap();
            c.execute("INSERT INTO analysis_object VALUES (?, ?)", params![analysis, id]).unwrap();
        }
    }
}

fn digest_of(value: &Value) -> [u8; 32] {
    digest(&karton_rs::json::Value::parse(&value.to_string()).unwrap())
}

fn people(c: &Connection) -> Vec<Caller> {
    for (index, login) in USERS.iter().enumerate() {
        let id = i64::try_from(index).unwrap() + 1;
        let insert = "INSERT INTO users (id, login, email, additional_info, feed_quality, password_ver, identity_ver) VALUES (?, ?, '', '', '', '', '')";
        c.execute(insert, params![id, login]).unwrap();
        c.execute("INSERT INTO groups (id, name, private) VALUES (?, ?, 1)", params![id, login]).unwrap();
    }
    c.execute("INSERT INTO groups (id, name, workspace) VALUES (5, 'team', 1), (6, 'public', 0)", []).unwrap();
    for (user, group) in [(1, 1), (2, 2), (3, 3), (4, 4), (1, TEAM), (2, TEAM), (1, PUBLIC), (2, PUBLIC), (3, PUBLIC), (4, PUBLIC)] {
        c.execute("INSERT INTO member (user_id, group_id) VALUES (?, ?)", [user, group]).unwrap();
    }
    for key in ["open", "other"] {
        c.execute("INSERT INTO attribute_definition VALUES (?, '', '', '', '', '', 0)", [key]).unwrap();
        c.execute("INSERT INTO attribute_permission VALUES (?, ?, 1, 0)", params![key, PUBLIC]).unwrap();
    }
    let groups = |user: i64| {
        let group = |id: i64, private, workspace| OwnGroup { id, name: String::new(), private, workspace, shares_queried: false };
        let mut groups = vec![group(user, true, true)];
        if user < 3 {
            groups.push(group(TEAM, false, true));
        }
        groups.push(group(PUBLIC, false, false));
        groups
    };
    (1..=4)
        .map(|id| Caller {
            id,
            login: USERS[usize::try_from(id).unwrap() - 1].to_owned(),
            feed_quality: String::new(),
            groups: groups(id),
            capabilities: if id == 4 {
                Capability::ALL.iter().map(|capability| capability.name().to_owned()).collect()
            } else {
                BTreeSet::new()
            },
            provider: None,
            legacy_key: None,
            standing: Standing::default(),
        })
        .collect()
}
