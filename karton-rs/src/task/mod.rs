//! The task: what services exchange.
//!
//! A [`Task`] is plain data and does no I/O. The one rule: payloads are JSON, resources included: a
//! resource is its `{"__karton_resource__": …}` object wherever it stands, and [`Resource`] is a
//! typed view on it. Files that are still to be uploaded travel beside the payload, by resource uid.
//! See Karton protocol §4.

mod codec;
mod state;
#[cfg(test)]
pub(crate) mod vectors;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use indexmap::IndexSet;
use serde::de::DeserializeOwned;

pub use codec::TaskError;
pub use state::{TaskPriority, TaskState};

use crate::{
    json::{Key, Map, Value},
    resource::{self, LocalResource, Resource},
};

/// Name of the copy of the persistent headers inside the persistent payload.
const HIDDEN_PERSISTENT_HEADERS: &str = "__headers_persistent";

/// One unit of work: headers that route it, a payload, and its place in an analysis.
///
/// ```
/// use karton_rs::Task;
/// use serde_json::json;
///
/// let mut task = Task::new(json!({"type": "sample", "kind": "raw"}));
/// task.set_payload("tags", vec!["demo"]);
/// assert_eq!(task.header_str("kind"), Some("raw"));
/// assert!(task.to_json().contains("\"status\": \"Declared\""));
/// ```
#[derive(Debug, Clone)]
pub struct Task {
    uid: String,
    root_uid: String,
    parent_uid: Option<String>,
    orig_uid: Option<String>,
    status: TaskState,
    priority: TaskPriority,
    last_update: f64,
    /// These three are shared by copies until one of them changes.
    headers: Arc<Map>,
    persistent_headers: IndexSet<Key>,
    payload: Arc<Map>,
    payload_persistent: Arc<Map>,
    error: Value,
    /// Sources of resources in the payload that are not in the object store yet.
    attached: Vec<LocalResource>,
}

impl Task {
    /// A task of its own analysis. `headers` is an object; anything else counts as no headers.
    pub fn new(headers: impl Into<Value>) -> Self {
        let headers = match headers.into() {
            Value::Object(headers) => headers,
            _ => Map::new(),
        };
        let root_uid = new_uid();
        Self {
            uid: format!("{{{root_uid}}}:{root_uid}"),
            root_uid,
            parent_uid: None,
            orig_uid: None,
            status: TaskState::Declared,
            priority: TaskPriority::Normal,
            last_update: now(),
            headers: Arc::new(headers),
            persistent_headers: IndexSet::new(),
            payload: Arc::default(),
            payload_persistent: Arc::default(),
            error: Value::Null,
            attached: Vec::new(),
        }
    }

    /// A root task whose uid (and so the id of its analysis) was chosen before.
    pub fn with_root_uid(headers: impl Into<Value>, root_uid: &str) -> Self {
        let mut task = Self::new(headers);
        task.uid = format!("{{{root_uid}}}:{root_uid}");
        root_uid.clone_into(&mut task.root_uid);
        task
    }

    /// Full uid, as `{root}:task`; treat it as opaque.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    pub(crate) fn with_uid(mut self, uid: &str) -> Self {
        uid.clone_into(&mut self.uid);
        self
    }

    /// The part of the uid after its last `:`, which logs show.
    pub fn task_uid(&self) -> &str {
        self.uid.rsplit(':').next().unwrap_or(&self.uid)
    }

    /// Id of the analysis: uid of its first task.
    pub fn root_uid(&self) -> &str {
        &self.root_uid
    }

    /// The routed task during which this one was sent.
    pub fn parent_uid(&self) -> Option<&str> {
        self.parent_uid.as_deref()
    }

    /// For a routed task: the unrouted task it was made from.
    pub fn orig_uid(&self) -> Option<&str> {
        self.orig_uid.as_deref()
    }

    /// Where the task is in its life.
    pub fn status(&self) -> TaskState {
        self.status
    }

    /// Which of the receiver's queues it goes to.
    pub fn priority(&self) -> TaskPriority {
        self.priority
    }

    /// Chooses the queue. A task sent while another is processed takes that one's priority.
    pub fn set_priority(&mut self, priority: TaskPriority) {
        self.priority = priority;
    }

    /// Unix time, in seconds, of the creation or the last change of status.
    pub fn last_update(&self) -> f64 {
        self.last_update
    }

    /// Pieces of the traceback of a crashed task.
    pub fn error(&self) -> Vec<&str> {
        match &self.error {
            Value::String(text) => vec![text],
            error => error.as_array().unwrap_or_default().iter().filter_map(Value::as_str).collect(),
        }
    }

    /// All headers, persistent ones included.
    pub fn headers(&self) -> &Map {
        &self.headers
    }

    /// One header.
    pub fn header(&self, name: &str) -> Option<&Value> {
        self.headers.get(name)
    }

    /// One header, when it is text.
    pub fn header_str(&self, name: &str) -> Option<&str> {
        self.header(name)?.as_str()
    }

    /// Sets a header of this task alone.
    pub fn set_header(&mut self, name: impl Into<Key>, value: impl Into<Value>) {
        Arc::make_mut(&mut self.headers).insert(name, value.into());
    }

    /// Sets a header that every task sent during this one inherits.
    pub fn set_persistent_header(&mut self, name: impl Into<Key>, value: impl Into<Value>) {
        let name = name.into();
        Arc::make_mut(&mut self.headers).insert(&name, value.into());
        self.persistent_headers.insert(name);
    }

    /// The headers that descendants inherit.
    pub fn headers_persistent(&self) -> Map {
        let mut persistent = Map::new();
        for name in &self.persistent_headers {
            if let Some(value) = self.headers.get(name) {
                persistent.insert(name, value.clone());
            }
        }
        persistent
    }

    /// A payload entry; the persistent one wins.
    pub fn payload(&self, name: &str) -> Option<&Value> {
        self.payload_persistent.get(name).or_else(|| self.payload.get(name))
    }

    /// A payload entry as a type of yours; nothing when it is absent or null.
    ///
    /// # Errors
    /// When the entry does not have the shape of `T`; the message names it.
    pub fn payload_as<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, TaskError> {
        match self.payload(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.deserialize().map(Some).map_err(|source| TaskError::Payload { name: name.to_owned(), source }),
        }
    }

    /// Whether a payload entry exists, persistent or not.
    pub fn has_payload(&self, name: &str) -> bool {
        self.payload(name).is_some()
    }

    /// The plain payload, which only this task has.
    pub fn payloads(&self) -> &Map {
        &self.payload
    }

    /// The payload that descendants inherit.
    pub fn payloads_persistent(&self) -> &Map {
        &self.payload_persistent
    }

    /// Sets a payload entry, in the bag that already has it, else in the plain one.
    pub fn set_payload(&mut self, name: impl Into<Key>, value: impl Into<Value>) {
        let name = name.into();
        let bag = if self.payload_persistent.contains_key(&name) { &mut self.payload_persistent } else { &mut self.payload };
        Arc::make_mut(bag).insert(name, value.into());
    }

    /// Sets a payload entry that every task sent during this one inherits.
    pub fn set_payload_persistent(&mut self, name: impl Into<Key>, value: impl Into<Value>) {
        let name = name.into();
        if self.payload.contains_key(&name) {
            Arc::make_mut(&mut self.payload).shift_remove(&name);
        }
        Arc::make_mut(&mut self.payload_persistent).insert(name, value.into());
    }

    /// Removes an entry of the plain payload.
    pub fn remove_payload(&mut self, name: &str) -> Option<Value> {
        Arc::make_mut(&mut self.payload).shift_remove(name)
    }

    /// A payload entry that must be a resource.
    ///
    /// # Errors
    /// When the entry is absent or no resource; the message names it.
    pub fn resource(&self, name: &str) -> Result<Resource, TaskError> {
        let value = self.payload(name).ok_or_else(|| TaskError::NoPayload(name.to_owned()))?;
        Resource::from_value(value).ok_or_else(|| TaskError::NotAResource(name.to_owned()))
    }

    /// Puts a file into the payload; it is uploaded when the task is sent.
    pub fn attach(&mut self, name: &str, resource: LocalResource) {
        let value = self.attach_value(resource);
        self.set_payload(name, value);
    }

    /// Like [`Task::attach`], for a resource inside a list or object: put the returned value where you want it.
    pub fn attach_value(&mut self, resource: LocalResource) -> Value {
        let value = resource.resource().to_value();
        self.attached.push(resource);
        value
    }

    /// All resources in both payloads, at any depth, in the order in which they are uploaded.
    pub fn resources(&self) -> Vec<Resource> {
        let mut found = Vec::new();
        for value in self.payload.values().chain(self.payload_persistent.values()) {
            resource::collect(value, &mut found);
        }
        found
    }

    #[must_use = "a derived task has to be sent"]
    /// A task with other headers and the same payloads and persistent headers, to be sent as a result.
    pub fn derive(&self, headers: impl Into<Value>) -> Self {
        let mut task = Self::new(headers);
        for (name, value) in self.headers_persistent() {
            task.set_persistent_header(name, value);
        }
        task.payload.clone_from(&self.payload);
        task.payload_persistent.clone_from(&self.payload_persistent);
        task.attached.clone_from(&self.attached);
        task
    }

    /// The copy that a consumer gets when this task is routed to it.
    pub(crate) fn fork_for(&self, receiver: &str) -> Self {
        let mut task = self.clone();
        task.uid = format!("{{{}}}:{}", self.root_uid, new_uid());
        task.orig_uid = Some(self.uid.clone());
        task.status = TaskState::Spawned;
        task.error = Value::Null;
        task.last_update = now();
        task.set_header("receiver", receiver);
        task
    }

    /// A fresh copy for the same receiver, as the dashboard's restart makes it.
    ///
    /// # Errors
    /// When the task was never routed.
    pub fn restart(&self) -> Result<Self, TaskError> {
        let receiver = self.header_str("receiver").ok_or(TaskError::NotRouted)?.to_owned();
        let mut task = self.fork_for(&receiver);
        task.orig_uid.clone_from(&self.orig_uid);
        Ok(task)
    }

    /// The same task as it was before its consumer had it, for another receiver.
    pub(crate) fn prepare_replay(&mut self, receiver: &str) {
        self.set_header("receiver", receiver);
        self.error = Value::Null;
        self.set_status(TaskState::Spawned);
    }

    /// What sending inside `current` means: place in the analysis, persistent headers and payload, priority.
    pub(crate) fn inherit(&mut self, current: &Self) {
        self.parent_uid = Some(current.uid.clone());
        self.root_uid.clone_from(&current.root_uid);
        for (name, value) in &*current.payload_persistent {
            // What is known now about a file that both refer to stays, as where both hold the same Python object.
            let own = self.payload_persistent.get(name).filter(|own| resource::is_same_object(own, value)).cloned();
            self.set_payload_persistent(name, own.unwrap_or_else(|| value.clone()));
        }
        for (name, value) in current.headers_persistent() {
            self.set_persistent_header(name, value);
        }
        self.priority = current.priority;
    }

    pub(crate) fn set_last_update(&mut self, time: f64) {
        self.last_update = time;
    }

    pub(crate) fn touch(&mut self) {
        self.last_update = now();
    }

    pub(crate) fn set_status(&mut self, status: TaskState) {
        self.status = status;
        self.touch();
    }

    pub(crate) fn crash(&mut self, error: Vec<String>) {
        self.error = error.into();
        self.set_status(TaskState::Crashed);
    }

    /// Fills the default bucket into attached resources that have none, and gives the uploads in payload order.
    pub(crate) fn prepare_uploads(&mut self, bucket: &str) -> Vec<(Resource, LocalResource)> {
        if self.attached.is_empty() {
            return Vec::new();
        }
        let attached = &self.attached;
        let is_local = |uid: &str| attached.iter().any(|local| local.resource().uid == uid);
        for bag in [&mut self.payload, &mut self.payload_persistent] {
            Arc::make_mut(bag).values_mut().for_each(|value| resource::fill_bucket(value, bucket, &is_local));
        }
        let mut uploads: Vec<(Resource, LocalResource)> = Vec::new();
        for resource in self.resources() {
            let source = self.attached.iter().find(|local| local.resource().uid == resource.uid);
            let known = uploads.iter().any(|(earlier, _)| earlier.uid == resource.uid);
            if let Some(source) = source.filter(|_| !known) {
                uploads.push((resource, source.clone()));
            }
        }
        uploads
    }
}

/// Unix time in seconds.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

pub(crate) fn new_uid() -> String {
    uuid::Uuid::new_v4().to_string()
}
