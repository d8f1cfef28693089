//! The rules of MWDB API §U7 as a model that fits on a page, and histories and queries to try it with.
//!
//! The one rule: it knows nothing of the server. What the server answers is compared with it in `permissions.rs`.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

pub(crate) const USERS: usize = 4;
pub(crate) const GROUPS: usize = 2;
/// Groups by number: the private ones of the users, the workspaces, and the one of everybody.
pub(crate) const PUBLIC: usize = USERS + GROUPS;
/// Words that are put on objects.
pub(crate) const WORDS: usize = 3;
/// An id that no object has.
pub(crate) const ABSENT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub(crate) const KINDS: [&str; 3] = ["file", "config", "blob"];

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Upload {
        user: usize,
        kind: usize,
        parent: Option<usize>,
        target: Target,
    },
    UploadAgain {
        user: usize,
        object: usize,
    },
    Share {
        user: usize,
        object: usize,
        group: usize,
    },
    Link {
        user: usize,
        parent: usize,
        child: usize,
    },
    Delete {
        user: usize,
        object: usize,
    },
    /// Puts a word on the object: as tag, as comment and as attribute.
    Annotate {
        user: usize,
        object: usize,
        word: usize,
    },
    Favor {
        user: usize,
        object: usize,
    },
    /// Joins the workspace, or leaves it.
    Move {
        user: usize,
        group: usize,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Target {
    Workspaces,
    Private,
    Group(usize),
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let user = 0..USERS;
    let object = 0..16_usize;
    let target = prop_oneof![2 => Just(Target::Workspaces), 2 => Just(Target::Private), 2 => (USERS..=PUBLIC).prop_map(Target::Group)];
    prop_oneof![
        6 => (user.clone(), 0..3_usize, prop::option::of(object.clone()), target)
            .prop_map(|(user, kind, parent, target)| Op::Upload { user, kind, parent, target }),
        1 => (user.clone(), object.clone()).prop_map(|(user, object)| Op::UploadAgain { user, object }),
        3 => (user.clone(), object.clone(), 0..=PUBLIC).prop_map(|(user, object, group)| Op::Share { user, object, group }),
        4 => (user.clone(), object.clone(), object.clone()).prop_map(|(user, parent, child)| Op::Link { user, parent, child }),
        1 => (user.clone(), object.clone()).prop_map(|(user, object)| Op::Delete { user, object }),
        3 => (user.clone(), object.clone(), 0..WORDS).prop_map(|(user, object, word)| Op::Annotate { user, object, word }),
        1 => (user.clone(), object).prop_map(|(user, object)| Op::Favor { user, object }),
        1 => (user, USERS..PUBLIC).prop_map(|(user, group)| Op::Move { user, group }),
    ]
}

/// A question that the model can answer, too.
#[derive(Debug, Clone)]
pub(crate) enum Query {
    Tag(usize),
    Comment(usize),
    Attribute(usize),
    /// Any word, by a wildcard.
    Tagged,
    Id(usize),
    Favorite,
    Parent(Box<Self>),
    Child(Box<Self>),
    Not(Box<Self>),
    Both(Box<Self>, Box<Self>),
    Either(Box<Self>, Box<Self>),
}

pub(crate) fn query() -> impl Strategy<Value = Query> {
    let atom = prop_oneof![
        (0..WORDS).prop_map(Query::Tag),
        (0..WORDS).prop_map(Query::Comment),
        (0..WORDS).prop_map(Query::Attribute),
        Just(Query::Tagged),
        (0..16_usize).prop_map(Query::Id),
        Just(Query::Favorite),
    ];
    atom.prop_recursive(4, 12, 2, |inner| {
        let boxed = inner.prop_map(Box::new);
        prop_oneof![
            2 => boxed.clone().prop_map(Query::Parent),
            2 => boxed.clone().prop_map(Query::Child),
            1 => boxed.clone().prop_map(Query::Not),
            1 => (boxed.clone(), boxed.clone()).prop_map(|(left, right)| Query::Both(left, right)),
            1 => (boxed.clone(), boxed).prop_map(|(left, right)| Query::Either(left, right)),
        ]
    })
}

impl Query {
    /// As `user` asks it.
    pub(crate) fn text(&self, model: &Model, user: usize) -> String {
        match self {
            Self::Tag(word) => format!("tag:word{word}"),
            Self::Comment(word) => format!("comment:\"word{word}\""),
            Self::Attribute(word) => format!("attribute.note:word{word}"),
            Self::Tagged => "tag:word*".to_owned(),
            Self::Id(object) => format!("dhash:{}", model.objects.get(*object).map_or(ABSENT, |object| &object.id)),
            Self::Favorite => format!("favorites:{}", group_name(user)),
            Self::Parent(inner) => format!("parent:({})", inner.text(model, user)),
            Self::Child(inner) => format!("child:({})", inner.text(model, user)),
            Self::Not(inner) => format!("NOT ({})", inner.text(model, user)),
            Self::Both(left, right) => format!("({}) AND ({})", left.text(model, user), right.text(model, user)),
            Self::Either(left, right) => format!("({}) OR ({})", left.text(model, user), right.text(model, user)),
        }
    }

    /// Whether it finds the object for `user`, who sees it.
    pub(crate) fn finds(&self, model: &Model, user: usize, object: usize) -> bool {
        let has = |word: &usize| model.objects[object].words.contains(word);
        let related = |inner: &Self, relatives: Vec<usize>| {
            relatives.into_iter().any(|relative| model.sees(user, relative) && inner.finds(model, user, relative))
        };
        match self {
            Self::Tag(word) | Self::Comment(word) | Self::Attribute(word) => has(word),
            Self::Tagged => !model.objects[object].words.is_empty(),
            Self::Id(other) => *other == object,
            Self::Favorite => model.favorites.contains(&(user, object)),
            Self::Parent(inner) => related(inner, model.parents(object)),
            Self::Child(inner) => related(inner, model.children(object)),
            Self::Not(inner) => !inner.finds(model, user, object),
            Self::Both(left, right) => left.finds(model, user, object) && right.finds(model, user, object),
            Self::Either(left, right) => left.finds(model, user, object) || right.finds(model, user, object),
        }
    }
}

/// Who sees what, by the rules.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) members: BTreeMap<usize, BTreeSet<usize>>,
    pub(crate) objects: Vec<Object>,
    pub(crate) relations: BTreeSet<(usize, usize)>,
    pub(crate) favorites: BTreeSet<(usize, usize)>,
}

pub(crate) struct Object {
    pub(crate) id: String,
    pub(crate) kind: usize,
    /// The groups that see it; none once it is deleted.
    pub(crate) groups: Option<BTreeSet<usize>>,
    pub(crate) words: BTreeSet<usize>,
}

impl Model {
    pub(crate) fn is_member(&self, user: usize, group: usize) -> bool {
        self.members[&group].contains(&user)
    }

    pub(crate) fn sees(&self, user: usize, object: usize) -> bool {
        let groups = self.objects.get(object).and_then(|object| object.groups.as_ref());
        groups.is_some_and(|groups| groups.iter().any(|group| self.is_member(user, *group)))
    }

    pub(crate) fn visible(&self, user: usize) -> impl Iterator<Item = usize> {
        (0..self.objects.len()).filter(move |object| self.sees(user, *object))
    }

    pub(crate) fn workspaces(&self, user: usize) -> Vec<usize> {
        (0..PUBLIC).filter(|group| self.is_member(user, *group)).collect()
    }

    /// Down to the children, but only from where the access is new.
    pub(crate) fn grant(&mut self, object: usize, group: usize) {
        let mut queue = vec![object];
        while let Some(object) = queue.pop() {
            if self.objects[object].groups.as_mut().is_some_and(|groups| groups.insert(group)) {
                queue.extend(self.relations.iter().filter(|(parent, _)| *parent == object).map(|(_, child)| *child));
            }
        }
    }

    pub(crate) fn link(&mut self, parent: usize, child: usize) {
        if self.relations.insert((parent, child)) {
            for group in self.objects[parent].groups.clone().unwrap_or_default() {
                self.grant(child, group);
            }
        }
    }

    pub(crate) fn parents(&self, object: usize) -> Vec<usize> {
        self.relations.iter().filter(|(_, child)| *child == object).map(|(parent, _)| *parent).collect()
    }

    pub(crate) fn children(&self, object: usize) -> Vec<usize> {
        self.relations.iter().filter(|(parent, _)| *parent == object).map(|(_, child)| *child).collect()
    }

    pub(crate) fn delete(&mut self, object: usize) {
        self.objects[object].groups = None;
        self.favorites.retain(|(_, favorite)| *favorite != object);
        self.relations.retain(|(parent, child)| *parent != object && *child != object);
    }

    pub(crate) fn ids(&self, objects: impl Iterator<Item = usize>) -> BTreeSet<String> {
        objects.map(|object| self.objects[object].id.clone()).collect()
    }
}

pub(crate) fn group_name(group: usize) -> String {
    match group {
        PUBLIC => "public".to_owned(),
        user if user < USERS => format!("user{user}"),
        workspace => format!("group{workspace}"),
    }
}
